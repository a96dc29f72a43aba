"""Server-sent events out of bytes that come cut anywhere."""


class EventSplitter:
    """Feed it bytes, get (event name, data) for every event that became complete."""

    def __init__(self) -> None:
        self._tail = b""
        self._data: list[bytes] = []
        self._name = b""

    @property
    def empty(self) -> bool:
        """Nothing half read is waiting."""
        return not (self._tail or self._data or self._name)

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        events: list[tuple[bytes, bytes]] = []
        lines = (self._tail + data if self._tail else data).split(b"\n")
        self._tail = lines.pop()
        for line in lines:
            if not line or line == b"\r":
                self._dispatch(events)
            elif line.startswith(b"data:"):
                self._data.append(line[5:].strip())
            elif line.startswith(b"event:"):
                self._name = line[6:].strip()
        return events

    def flush(self) -> list[tuple[bytes, bytes]]:
        """What a server that forgets the last blank line left behind."""
        return self.feed(b"\n\n")

    def _dispatch(self, events: list[tuple[bytes, bytes]]) -> None:
        if self._data:
            events.append((self._name, b"\n".join(self._data)))
            self._data = []
        self._name = b""
