"""Engine flags that make a server import or run what a user names."""

import re
from collections.abc import Iterable

from api.errors import ApiError

_CODE = re.compile(
    r"trust.?remote.?code|plug.?in|middleware|logits.?processor|worker.?(cls|extension)"
    r"|executor.?(backend|class)|scheduler.?cls|hf.?overrides|code.?revision|custom.?pipeline"
    r"|(^|.)(python|exec|script|command|shell)(.|$)|^config$|api.?key",
    re.IGNORECASE,
)


def refuse_code(names: Iterable[str], *, allowed: bool) -> None:
    """Raises ApiError 403 naming the first flag that could load code or read a file."""
    for name in names:
        if not allowed and _CODE.search(name.lstrip("-")):
            raise ApiError(
                403, "remote_code", f"flags: {name} может загрузить чужой код",
                "Оператор может разрешить это: ADVISOR_ALLOW_REMOTE_CODE=1", param="flags",
            )  # fmt: skip
