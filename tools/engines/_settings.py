"""The line in which a server of ours says its settings."""

import json
import re

_LINE = re.compile(r"^settings: (\{.*\})$", re.MULTILINE)


def read(log: str) -> dict[str, str]:
    """Settings by flag or variable name, in the same form as vLLM's; empty before the line."""
    line = _LINE.search(log)
    return {k: _text(v) for k, v in json.loads(line[1]).items()} if line else {}


def _text(value: object) -> str:
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
