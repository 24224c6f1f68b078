"""Prefect is a link and a time where a server answers, and nothing at all where none does."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.prefect_link import PrefectLink

RUN = {
    "name": "gentle-owl",
    "parameters": {"run": "nightly-2026-11-30"},
    "expected_start_time": "2026-11-30T01:00:00Z",
}


def link(answer: httpx.Response | Exception, url: str | None = "http://p:4200/api") -> PrefectLink:
    def reply(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/api/flow_runs/filter"
        if isinstance(answer, Exception):
            raise answer
        return answer

    return PrefectLink(lambda: url, transport=httpx.MockTransport(reply))


def test_the_next_scheduled_run_is_named_with_its_time() -> None:
    known = link(httpx.Response(200, json=[RUN])).look()
    assert known is not None
    address, scheduled = known
    assert address == "http://p:4200"
    assert scheduled is not None
    assert (scheduled.name, f"{scheduled.at:%d %H:%M}") == ("nightly-2026-11-30", "30 01:00")


def test_a_server_without_a_schedule_is_still_a_link() -> None:
    assert link(httpx.Response(200, json=[])).look() == ("http://p:4200", None)


@pytest.mark.parametrize("wrong", [httpx.Response(401), httpx.ConnectError("refused")])
def test_a_server_that_does_not_answer_is_not_shown(wrong: httpx.Response | Exception) -> None:
    assert link(wrong).look() is None
    assert link(httpx.Response(200, json=[RUN]), url=None).look() is None


@given(st.recursive(st.none() | st.text() | st.integers(), lambda each: st.lists(each)))
def test_whatever_a_server_answers_breaks_nothing(answer: object) -> None:
    known = link(httpx.Response(200, json=answer)).look()
    assert known is None or known[1] is None
