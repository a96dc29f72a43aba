"""What of this machine's disk a user of the service may name: the operator's folders, no more."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from api.errors import ApiError
from tools.demo_model import NAME as DEMO

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


class Roots:
    """Checks names of models and workload files. What lies outside is refused unseen."""

    def __init__(self, folders: Sequence[Path], *, allow_remote_code: bool) -> None:
        self._folders = [folder.expanduser().resolve() for folder in folders]
        self._allow_remote_code = allow_remote_code

    def model(self, name: str) -> str:
        """The name to resolve: demo, a hub id, or an absolute path inside the roots."""
        path = Path(name).expanduser()
        if not path.is_absolute():
            if (name == DEMO or _HUB_ID.fullmatch(name)) and not path.exists():
                return name
            raise self._outside("model")
        inside = self._inside(path, "model")
        self._no_code(inside)
        return str(inside)

    def workload(self, name: str) -> str:
        """A preset's name as it is, a .jsonl file only inside the roots."""
        if not name.endswith(".jsonl") and "/" not in name:
            return name
        return str(self._inside(Path(name).expanduser(), "workload"))

    def _inside(self, path: Path, param: str) -> Path:
        """Links are followed before it is compared. A file that is not there is no news either."""
        try:
            real = path.resolve()
        except (OSError, RuntimeError, ValueError):
            raise self._outside(param) from None
        if not path.is_absolute() or not any(real.is_relative_to(root) for root in self._folders):
            raise self._outside(param)
        return real

    def _outside(self, param: str) -> ApiError:
        return ApiError(
            403, "forbidden_path", f"{param}: этот путь вне разрешённых папок",
            "Нужен полный путь внутри ADVISOR_ROOTS, id с хаба или demo", param=param,
        )  # fmt: skip

    def _no_code(self, folder: Path) -> None:
        """A checkpoint with auto_map asks the engine to import Python files that lie beside it."""
        if self._allow_remote_code or not (folder / "config.json").is_file():
            return
        try:
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return  # said better when the model is looked at
        if isinstance(config, dict) and config.get("auto_map"):
            raise ApiError(
                403, "remote_code", "model: эта модель требует загрузки чужого кода (auto_map)",
                "Оператор может разрешить это: ADVISOR_ALLOW_REMOTE_CODE=1", param="model",
            )  # fmt: skip
