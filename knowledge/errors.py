"""The one tree of errors. Each says what went wrong and how to mend it.

AdvisorError
├── BadInput            the user can mend it: exit code 2, HTTP 400
│   ├── BadModel        the folder is no model, or a damaged one
│   ├── BadWorkload     a workload file or name that can't be used
│   ├── UnknownFlag     a flag the installed engine does not have
│   └── NoRoom          not enough memory or disk
├── StoreError          the store is locked, or written by a newer version
├── EngineFailed        an engine died, hung or never got ready
├── SetupFailed         an adapter's environment could not be made
├── ArtifactFailed      a quantizer or compressor failed
├── QualityUnavailable  the endpoint gives no log-probabilities that can be used
└── NothingMeasured     not even the baseline gave a figure: exit code 3
"""

from knowledge.types.trial import Cause


class AdvisorError(Exception):
    """Root. `message` is one line: what and why; `hint` is one line: how to mend it."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}. {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[object, ...]:
        """Whole from one process to another, whatever its class takes to be made."""
        return _as_it_was, (type(self), self.args, self.__dict__)


def _as_it_was(
    kind: type[AdvisorError], args: tuple[object, ...], said: dict[str, object]
) -> AdvisorError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(said)
    return error


class BadInput(AdvisorError):
    """What the user can mend."""

    exit_code = 2


class BadModel(BadInput):
    """The folder is no model, or a damaged one."""


class BadWorkload(BadInput):
    """A workload that can't be used."""


class UnknownFlag(BadInput):
    """The installed engine has no such flag."""


class NoRoom(BadInput):
    """Not enough memory or disk."""


class StoreError(AdvisorError):
    """The store is locked, or newer than this program."""

    exit_code = 2


class EngineFailed(AdvisorError):
    """An engine died, hung or never got ready."""

    exit_code = 3

    def __init__(self, cause: Cause, message: str, log_tail: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.cause = cause
        self.log_tail = log_tail


class SetupFailed(AdvisorError):
    """An environment could not be made."""

    exit_code = 3


class ArtifactFailed(AdvisorError):
    """A quantizer or compressor failed."""

    exit_code = 3

    def __init__(self, message: str, hint: str = "", log_tail: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint)
        self.log_tail = log_tail


class QualityUnavailable(AdvisorError):
    """The endpoint scores no text."""

    exit_code = 3


class NothingMeasured(AdvisorError):
    """Not even the baseline gave a figure."""

    exit_code = 3


class Declined(AdvisorError):
    """A person did not approve of a step."""

    exit_code = 3
