"""Regular expressions that are built from data: each is compiled once.

The cache of `re` holds 512; a catalogue of names alone has more, and then each call compiles anew.
"""

import re
from functools import lru_cache


@lru_cache(maxsize=16384)
def compiled(pattern: str) -> re.Pattern[str]:
    """The compiled pattern."""
    return re.compile(pattern)
