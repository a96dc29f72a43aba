"""Object storage by address (s3://, gs://, az://): artifacts and samples where no volume is shared.

fsspec speaks to it; the driver of a protocol (s3fs, gcsfs, adlfs) is a package of its own, which
takes keys and endpoints from its own variables or files, so that none of them pass through here.
An object appears whole or not at all: that is what such storages promise.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from knowledge.errors import BadInput, StoreError

_LOCAL = ("file", "local")


@dataclass(frozen=True)
class Objects:
    """One prefix of a bucket."""

    url: str

    def check(self) -> None:
        """Write a few bytes there and read them back. Raises BadInput for an address that nothing
        here speaks, StoreError where the storage is dead or refuses."""
        with tempfile.TemporaryDirectory() as folder:
            written, read = Path(folder) / "written", Path(folder) / "read"
            written.write_bytes(b"advisor")
            self.put(written, "check")
            if not self.get("check", read) or read.read_bytes() != b"advisor":
                raise self._failed(OSError("записанное не читается"))

    def put(self, local: Path, name: str) -> None:
        """Copy a file there, over an older one. Raises StoreError."""
        files, root = self._open()
        try:
            files.put_file(str(local), f"{root}/{name}")
        except Exception as error:  # every driver has its own
            raise self._failed(error) from error

    def get(self, name: str, local: Path) -> bool:
        """Copy a file here; False where there is none. Raises StoreError."""
        files, root = self._open()
        try:
            files.get_file(f"{root}/{name}", str(local))
        except FileNotFoundError:
            local.unlink(missing_ok=True)
            return False
        except Exception as error:  # every driver has its own
            raise self._failed(error) from error
        return True

    def _open(self) -> tuple[Any, str]:
        protocol, sign, bucket = self.url.partition("://")
        if not sign or not bucket.strip("/") or protocol in _LOCAL:
            raise BadInput(
                f"ADVISOR_OBJECTS={self.url!r} не адрес объектного хранилища",
                "Пишите s3://ВЕДРО/ПУТЬ, gs://… или az://…; общая папка задаётся ADVISOR_SHARED",
            )
        try:
            from fsspec.core import url_to_fs

            files, root = url_to_fs(self.url.rstrip("/"))
        except (ImportError, ValueError) as error:
            raise BadInput(
                f"хранилище {protocol}:// открыть нечем: {str(error).splitlines()[0]}",
                "Поставьте драйвер fsspec: pip install 'inference-advisor[objects]' — для s3://",
            ) from error
        return files, root

    def _failed(self, error: Exception) -> StoreError:
        said = (str(error) or type(error).__name__).splitlines()[0]
        return StoreError(
            f"Объектное хранилище {self.url} не ответило: {said}",
            "Проверьте адрес, сеть и ключи драйвера (s3: AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL)",
        )
