"""Where `--json` sends its result."""

from pathlib import Path


def give(text: str, to: str | None) -> bool:
    """Write JSON to a file, or to stdout for «-»; True when stdout is taken by it."""
    if to == "-":
        print(text)
        return True
    if to:
        Path(to).write_text(text + "\n", encoding="utf-8")
    return False
