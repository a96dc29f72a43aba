from collections.abc import Mapping
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.load.parser import BadResponseError, ResponseParser
from tools.load.sse import EventSplitter

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
BODY = "data: naïve 🙂\n\n".encode() * 3


def chunked(body: bytes, size: int) -> bytes:
    pieces = [body[i : i + size] for i in range(0, len(body), size)]
    framed = b"".join(b"%x;ext=1\r\n%s\r\n" % (len(p), p) for p in pieces)
    return HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + framed + b"0\r\nTrailer: x\r\n\r\n"


class Log:
    def __init__(self) -> None:
        self.status, self.content, self.ends = 0, b"", 0
        self.headers: Mapping[str, str] = {}
        self.lost_with: list[str] = []

    def head(self, now: float, status: int, headers: Mapping[str, str]) -> None:
        self.status, self.headers = status, headers

    def body(self, now: float, data: bytes) -> None:
        self.content += data

    def end(self, now: float) -> None:
        self.ends += 1

    def lost(self, now: float, reason: str) -> None:
        self.lost_with.append(reason)


def feed(log: Log, raw: bytes, cuts: list[int]) -> ResponseParser:
    parser = ResponseParser(log)
    edges = [0, *sorted(c % (len(raw) + 1) for c in cuts), len(raw)]
    for begin, end in pairwise(edges):
        if begin < end:
            parser.feed(0.0, raw[begin:end])
    return parser


@given(cuts=st.lists(st.integers(min_value=0, max_value=500), max_size=40), size=st.integers(1, 60))
def test_a_chunked_body_comes_whole_however_it_is_cut(cuts: list[int], size: int) -> None:
    log = Log()
    parser = feed(log, b"HTTP/1.1 100 Continue\r\n\r\n" + chunked(BODY, size), cuts)
    assert (log.status, log.content, log.ends) == (200, BODY, 1)
    assert log.headers["content-type"] == "text/plain"
    assert parser.ended
    assert parser.keep_alive


@given(cuts=st.lists(st.integers(min_value=0, max_value=500), max_size=40))
def test_a_body_of_known_length_comes_whole_however_it_is_cut(cuts: list[int]) -> None:
    log = Log()
    raw = HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
    assert feed(log, raw, cuts).keep_alive
    assert (log.content, log.ends) == (BODY, 1)


def test_a_body_without_length_ends_with_the_connection() -> None:
    log = Log()
    parser = feed(log, HEAD + b"\r\n" + BODY, [100])
    assert log.ends == 0
    parser.eof(0.0)
    assert (log.content, log.ends, log.lost_with) == (BODY, 1, [])
    assert not parser.keep_alive


@pytest.mark.parametrize("kept", [0, 10, 70, 120])
def test_a_close_before_the_end_is_a_reset(kept: int) -> None:
    log = Log()
    feed(log, chunked(BODY, 20)[:kept], []).eof(0.0)
    assert (log.ends, log.lost_with) == (0, ["reset"])


@pytest.mark.parametrize(
    "raw",
    [
        b"220 smtp ready\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabcd",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 2_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000,
    ],
)
def test_what_is_no_http_is_refused(raw: bytes) -> None:
    with pytest.raises(BadResponseError):
        feed(Log(), raw, [])


@pytest.mark.parametrize(
    ("head", "keep"),
    [
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n", False),
        (b"HTTP/1.0 200 OK\r\n", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n", True),
    ],
)
def test_the_server_says_whether_the_connection_is_kept(head: bytes, keep: bool) -> None:
    assert feed(Log(), head + b"Content-Length: 0\r\n\r\n", []).keep_alive is keep


def test_bytes_after_the_end_spoil_the_connection() -> None:
    assert not feed(Log(), HEAD + b"Content-Length: 0\r\n\r\nmore", []).keep_alive


@given(cuts=st.lists(st.integers(min_value=0, max_value=200), max_size=30))
def test_events_come_whole_however_they_are_cut(cuts: list[int]) -> None:
    raw = (
        ': comment\n\ndata: {"a": "naïve 🙂"}\n\nevent: error\r\ndata:one\r\ndata: two\r\n\r\n'
        "id: 5\ndata: [DONE]\n"
    ).encode()
    splitter, events = EventSplitter(), []
    edges = [0, *sorted(c % (len(raw) + 1) for c in cuts), len(raw)]
    for begin, end in pairwise(edges):
        events += splitter.feed(raw[begin:end])
    events += splitter.flush()
    assert events == [
        (b"", '{"a": "naïve 🙂"}'.encode()),
        (b"error", b"one\ntwo"),
        (b"", b"[DONE]"),
    ]
