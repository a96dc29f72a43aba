"""HTTP/1.1 responses out of bytes that come cut anywhere."""

from collections.abc import Mapping
from typing import Protocol

_LARGEST_HEAD_BYTES = 65_536
_LARGEST_LINE_BYTES = 1_024
_MORE = -1


class BadResponseError(ValueError):
    """The bytes are no HTTP/1.1."""


class Receiver(Protocol):
    """Who gets a response. `now` is when the bytes came, in seconds of time.perf_counter."""

    def head(self, now: float, status: int, headers: Mapping[str, str]) -> None: ...

    def body(self, now: float, data: bytes) -> None: ...

    def end(self, now: float) -> None: ...

    def lost(self, now: float, reason: str) -> None:
        """No complete response will come: "reset" or "malformed"."""


class ResponseParser:
    """One response to one receiver: chunked, of known length, or until the server closes."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        # Functions, not bound methods: those would be a cycle, and during a round nobody collects.
        self._state = ResponseParser._head
        self._rest = b""
        self._left = 0
        self._at_chunk = False
        self.begun = False
        self.ended = False
        self.keep_alive = True

    def feed(self, now: float, data: bytes) -> None:
        """Pass on what the bytes complete. Raises BadResponseError."""
        self.begun = True
        buffer = self._rest + data if self._rest else data
        position, size = 0, len(buffer)
        while position < size and not self.ended:
            after = self._whole_chunk(now, buffer, position) if self._at_chunk else _MORE
            if after == _MORE:
                after = self._state(self, now, buffer, position)
            if after == _MORE:
                break
            position = after
        self._rest = buffer[position:]
        if self.ended and self._rest:
            self.keep_alive = False  # bytes that nobody asked for: this connection is not to trust

    def eof(self, now: float) -> None:
        """The server closed: the end of a body without length, otherwise a loss."""
        if self.ended:
            return
        if self._state is ResponseParser._until_close:
            self._end(now)
        else:
            self._receiver.lost(now, "reset")

    def _head(self, now: float, buffer: bytes, position: int) -> int:
        end = buffer.find(b"\r\n\r\n", position)
        if end < 0:
            if len(buffer) - position > _LARGEST_HEAD_BYTES:
                raise BadResponseError("endless head")
            if not b"HTTP/1.".startswith(buffer[position : position + 7]):
                raise BadResponseError("no HTTP")
            return _MORE
        version, status, headers = parse_head(buffer[position:end])
        if status < 200:  # 100 Continue and the like: the response is still to come
            return end + 4
        connection = headers.get("connection", "").lower()
        self.keep_alive = connection != "close" and (
            version != "HTTP/1.0" or connection == "keep-alive"
        )
        self._receiver.head(now, status, headers)
        self._choose_body(now, status, headers)
        return end + 4

    def _choose_body(self, now: float, status: int, headers: Mapping[str, str]) -> None:
        if "chunked" in headers.get("transfer-encoding", "").lower():
            self._state, self._at_chunk = ResponseParser._chunk_size, True
        elif status in (204, 304) or headers.get("content-length") == "0":
            self._end(now)
        elif "content-length" in headers:
            if not headers["content-length"].isdecimal():
                raise BadResponseError("bad length")
            self._left = int(headers["content-length"])
            self._state = ResponseParser._sized
        else:
            self.keep_alive = False
            self._state = ResponseParser._until_close

    def _sized(self, now: float, buffer: bytes, position: int) -> int:
        piece = buffer[position : position + self._left]
        self._left -= len(piece)
        self._receiver.body(now, piece)
        if not self._left:
            self._end(now)
        return position + len(piece)

    def _until_close(self, now: float, buffer: bytes, position: int) -> int:
        self._receiver.body(now, buffer[position:])
        return len(buffer)

    def _whole_chunk(self, now: float, buffer: bytes, position: int) -> int:
        """The usual case in one step: a chunk that is all there. Anything else is left alone."""
        end = buffer.find(b"\r\n", position, position + 12)
        try:
            size = int(buffer[position:end], 16) if end > 0 else 0
        except ValueError:
            return _MORE
        after = end + 2 + size
        if size <= 0 or buffer[after : after + 2] != b"\r\n":
            return _MORE
        self._receiver.body(now, buffer[end + 2 : after])
        return after + 2

    def _chunk_size(self, now: float, buffer: bytes, position: int) -> int:
        end = buffer.find(b"\r\n", position)
        if end < 0:
            return self._wait_for_line(buffer, position)
        digits = buffer[position:end].split(b";", 1)[0].strip()
        try:
            self._left = int(digits, 16)
        except ValueError as error:
            raise BadResponseError("bad chunk size") from error
        if self._left < 0:
            raise BadResponseError("bad chunk size")
        self._state = ResponseParser._chunk_data if self._left else ResponseParser._trailer
        self._at_chunk = False
        return end + 2

    def _chunk_data(self, now: float, buffer: bytes, position: int) -> int:
        piece = buffer[position : position + self._left]
        self._left -= len(piece)
        if not self._left:
            self._state = ResponseParser._chunk_end
        self._receiver.body(now, piece)
        return position + len(piece)

    def _chunk_end(self, now: float, buffer: bytes, position: int) -> int:
        if len(buffer) - position < 2:
            return _MORE
        if buffer[position : position + 2] != b"\r\n":
            raise BadResponseError("chunk without end")
        self._state, self._at_chunk = ResponseParser._chunk_size, True
        return position + 2

    def _trailer(self, now: float, buffer: bytes, position: int) -> int:
        end = buffer.find(b"\r\n", position)
        if end < 0:
            return self._wait_for_line(buffer, position)
        if end == position:
            self._end(now)
        return end + 2

    @staticmethod
    def _wait_for_line(buffer: bytes, position: int) -> int:
        if len(buffer) - position > _LARGEST_LINE_BYTES:
            raise BadResponseError("endless line")
        return _MORE

    def _end(self, now: float) -> None:
        self.ended = True
        self._receiver.end(now)


def parse_head(head: bytes) -> tuple[str, int, dict[str, str]]:
    """Version, status and headers (names in lower case). Raises BadResponseError."""
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ", 2)
    if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdecimal():
        raise BadResponseError("no status line")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return words[0], int(words[1]), headers
