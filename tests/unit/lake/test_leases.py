import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parrot_core.errors import LeaseLost, ShardHeld
from parrot_core.lake.holder import Holder, this_process
from parrot_core.lake.leases import Claims, Lease, LeaseTimes, take
from parrot_core.lake.manifest import Accounting, Receipt
from parrot_core.lake.storage import Storage

ELSEWHERE = Holder(worker="far:1", boot="another machine", pids="pid:[1]", pid=1, started=1)
SAY_WHO = (
    "from parrot_core.lake.holder import this_process; print(this_process().model_dump_json())"
)
TIMES = LeaseTimes(expiry_s=60, renew_s=15, poll_s=1)


def receipt(lease: Lease) -> Receipt:
    return Receipt(
        shard=3,
        attempt=lease.attempt,
        epoch=lease.epoch,
        accounting=Accounting(unit="session"),
        worker=lease.worker,
        started_at="",
        ended_at="",
    )


class Clock:
    """Time that passes only by sleeping; ``events`` happen at their second."""

    def __init__(self) -> None:
        self.now = 0.0
        self.events: dict[float, Callable[[], object]] = {}

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.now in self.events:
            self.events[self.now]()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def claims(tmp_path: Path) -> Claims:
    return Claims(Storage(str(tmp_path)), "shard/claims", "run 'r', shard 3 of 's'")


def taken(claims: Claims, attempt: str, clock: Clock, holder: Holder = ELSEWHERE) -> Lease:
    lease = take(claims, attempt, holder, TIMES, clock=clock, sleep=clock.sleep)
    assert isinstance(lease, Lease)
    return lease


def test_a_free_shard_is_taken_at_once_with_epochs_that_only_rise(
    claims: Claims, clock: Clock
) -> None:
    first = taken(claims, "a1", clock)
    first.release()
    second = taken(claims, "a2", clock)
    assert (first.epoch, second.epoch, clock.now) == (1, 2, 0)


def test_a_live_holder_is_named_as_soon_as_it_renews(claims: Claims, clock: Clock) -> None:
    lease = taken(claims, "a1", clock)
    clock.events = {15: lease.renew}
    with pytest.raises(ShardHeld, match=r"run 'r', shard 3 of 's' is in work at far:1"):
        take(claims, "a2", this_process(), TIMES, clock=clock, sleep=clock.sleep)
    assert clock.now == 15


def test_a_silent_holder_is_superseded_after_its_expiry_and_not_before(
    claims: Claims, clock: Clock
) -> None:
    taken(claims, "a1", clock)
    assert taken(claims, "a2", clock).epoch == 2
    assert clock.now == TIMES.expiry_s


def test_the_holders_own_expiry_counts_whatever_the_observer_was_told(
    claims: Claims, clock: Clock
) -> None:
    taken(claims, "a1", clock)
    hasty = LeaseTimes(expiry_s=2, renew_s=1, poll_s=1)
    take(claims, "a2", ELSEWHERE, hasty, clock=clock, sleep=clock.sleep)
    assert clock.now == TIMES.expiry_s


def test_a_holder_whose_process_ended_on_this_machine_is_superseded_at_once(
    claims: Claims, clock: Clock
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SAY_WHO], capture_output=True, check=True, text=True
    )
    gone = Holder.model_validate_json(done.stdout)
    taken(claims, "a1", clock, gone)
    assert taken(claims, "a2", clock).epoch == 2
    assert clock.now == 0


def test_a_process_that_its_parent_has_not_buried_is_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", SAY_WHO], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        holder = Holder.model_validate_json(child.stdout.read())  # to the end: it exits now
        while Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
            pass
        assert holder.is_gone()


def test_what_cannot_be_known_from_here_is_not_taken_for_gone() -> None:
    me = this_process()
    assert not me.is_gone()
    assert me.model_copy(update={"started": me.started + 1}).is_gone()  # its number was reused
    assert not me.model_copy(update={"boot": "another", "pid": 2**22}).is_gone()
    assert not me.model_copy(update={"pids": "another container", "pid": 2**22}).is_gone()


def test_a_pause_of_the_observer_is_not_taken_for_silence_of_the_holder(
    claims: Claims, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = taken(claims, "a1", clock)
    since = Claims.since

    def paused_after_reading(self: Claims, known: object) -> object:
        found = since(self, known)  # type: ignore[arg-type]
        clock.now += 1000
        lease.renew()
        return found

    monkeypatch.setattr(Claims, "since", paused_after_reading)
    with pytest.raises(ShardHeld):
        take(claims, "a2", ELSEWHERE, TIMES, clock=clock, sleep=clock.sleep)


def test_a_superseded_holder_can_neither_renew_nor_commit_nor_release(
    claims: Claims, clock: Clock
) -> None:
    paused = taken(claims, "a1", clock)
    successor = taken(claims, "a2", clock)
    before = claims.read(1)
    for act in (paused.check, paused.renew, lambda: paused.commit(receipt(paused))):
        with pytest.raises(LeaseLost):
            act()
    paused.release()
    assert claims.read(1) == before
    successor.commit(receipt(successor))
    assert take(claims, "a3", ELSEWHERE, TIMES) == receipt(successor)


def test_a_commit_ends_all_claims(claims: Claims, clock: Clock) -> None:
    lease = taken(claims, "a1", clock)
    lease.commit(receipt(lease))
    lease.release()
    assert take(claims, "a2", ELSEWHERE, TIMES) == receipt(lease)
    top = claims.top()
    assert top is not None
    assert (top.number, top.state) == (2, "committed")


def test_an_observer_gets_the_receipt_that_is_committed_before_its_eyes(
    claims: Claims, clock: Clock
) -> None:
    lease = taken(claims, "a1", clock)
    clock.events = {7: lambda: lease.commit(receipt(lease))}
    assert take(claims, "a2", ELSEWHERE, TIMES, clock=clock, sleep=clock.sleep) == receipt(lease)
    assert clock.now == 7


def test_of_many_that_take_a_free_shard_at_once_one_gets_it(tmp_path: Path) -> None:
    times = LeaseTimes(expiry_s=60, renew_s=15, poll_s=0.01)
    for round_ in range(10):
        claims = Claims(Storage(str(tmp_path)), f"{round_}/claims", "shard")
        with ThreadPoolExecutor(6) as pool:
            tries = [pool.submit(take, claims, f"a{n}", ELSEWHERE, times) for n in range(6)]
            while not all(each.done() for each in tries):
                for each in tries:
                    if each.done() and each.exception() is None:
                        lease = each.result()
                        assert isinstance(lease, Lease)
                        lease.renew()
        errors = [each.exception() for each in tries]
        assert errors.count(None) == 1
        assert sum(isinstance(error, ShardHeld) for error in errors) == 5


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from("tcr")), max_size=30))
def test_whatever_workers_do_in_whatever_order_one_receipt_stands_and_is_the_current_epochs(
    tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[int, str]]
) -> None:
    """Four workers take over from each other without waiting, renew and commit as they like."""
    claims = Claims(Storage(str(tmp_path_factory.mktemp("lake"))), "claims", "shard")
    clock = Clock()
    leases: dict[int, Lease] = {}
    committed: list[Receipt] = []
    newest = 0
    for worker, action in actions:
        if action == "t" and worker not in leases:
            got = take(claims, f"w{worker}", ELSEWHERE, TIMES, clock=clock, sleep=clock.sleep)
            assert isinstance(got, Lease) == (not committed)
            if isinstance(got, Lease):
                assert got.epoch > newest
                newest = got.epoch
                leases[worker] = got
        elif worker in leases:
            lease = leases[worker]
            ours = lease.epoch == newest and not committed
            try:
                lease.renew() if action == "r" else lease.commit(receipt(lease))
            except LeaseLost:
                assert not ours
            else:
                if action != "r":
                    assert ours or committed == [receipt(lease)]
                    committed = [receipt(lease)]
    top = claims.top()
    assert (top.receipt if top else None) == (committed[0] if committed else None)


def test_a_lease_that_could_expire_between_two_renewals_is_refused() -> None:
    with pytest.raises(ValueError, match="renewed at least twice"):
        LeaseTimes(expiry_s=10, renew_s=6)
