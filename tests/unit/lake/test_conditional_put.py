"""What an S3 server answers to a write that may not replace anything, by a server that says it."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import pytest

from parrot_core.errors import StorageError
from parrot_core.lake import conditional_put
from parrot_core.lake.storage import Storage
from tests.support.servers.listening import listening
from tests.support.servers.s3_server import use_s3


@contextmanager
def answering(monkeypatch: pytest.MonkeyPatch, *answers: int) -> Iterator[list[bytes]]:
    """A store that gives these answers to PUTs, then 200; what stands there is ``theirs``."""
    left, written = list(answers), []

    class Store(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # clients ask before they send what they write

        def do_PUT(self) -> None:
            written.append(self.rfile.read(int(self.headers["Content-Length"])))
            assert self.headers["If-None-Match"] == "*"
            status = left.pop(0) if left else 200
            code = {409: "ConditionalRequestConflict", 412: "PreconditionFailed"}.get(status, "")
            self._say(status, f"<Error><Code>{code}</Code></Error>".encode() if code else b"")

        def do_GET(self) -> None:
            self._say(200, b"theirs")

        def do_HEAD(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "6")
            self.end_headers()

        def _say(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with listening(Store) as port:
        use_s3(monkeypatch, f"http://127.0.0.1:{port}")
        monkeypatch.setattr(conditional_put, "WAITS_S", (0.0, 0.0, 0.0))
        yield written


def test_a_write_that_met_another_one_under_way_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with answering(monkeypatch, 409, 409) as written:
        assert Storage("s3://lake/x").put_if_absent("claim.json", b"ours")
    assert written == [b"ours"] * 3


def test_what_another_has_written_meanwhile_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(monkeypatch, 409, 412) as written:
        assert not Storage("s3://lake/x").put_if_absent("claim.json", b"ours")
    assert len(written) == 2


def test_a_conflict_that_does_not_end_is_told_and_never_taken_for_a_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with (
        answering(monkeypatch, *[409] * 9),
        pytest.raises(StorageError, match=r"claim\.json: can't write"),
    ):
        Storage("s3://lake/x").put_if_absent("claim.json", b"ours")
