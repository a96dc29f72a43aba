"""The measured launch command, freed of the machine it was measured on."""

import shlex
from enum import StrEnum
from pathlib import PurePath

from knowledge.types import Frozen, Launch


class Slot(StrEnum):
    """A place in the command that each target fills in its own way."""

    PYTHON = "PYTHON"
    MODEL = "MODEL"
    HOST = "HOST"
    PORT = "PORT"


class Word(Frozen):
    """One argument: either literal text or a slot."""

    text: str = ""
    slot: Slot | None = None


class Command(Frozen):
    """What to run, with slots for Python, model, host and port, and what to set before it."""

    words: tuple[Word, ...]
    env: dict[str, str]
    model_path: str
    """The folder that was measured: a default for the MODEL slot on the same machine."""

    def argv(self, slots: dict[Slot, str]) -> tuple[str, ...]:
        """The arguments with every slot filled."""
        return tuple(slots[word.slot] if word.slot else word.text for word in self.words)

    def shell(self) -> tuple[str, ...]:
        """The arguments quoted for a shell, slots as "$NAME"."""
        return tuple(
            f'"${word.slot.value}"' if word.slot else shlex.quote(word.text) for word in self.words
        )


_SLOTS = {
    "--model": Slot.MODEL,
    "--model-path": Slot.MODEL,
    "--model-id": Slot.MODEL,
    "serve": Slot.MODEL,
    "--host": Slot.HOST,
    "--hostname": Slot.HOST,
    "--port": Slot.PORT,
}

_PROGRAMS = {"llamacpp_server.py": "llama-server"}
"""Scripts of ours that start a public program's server with that program's own options."""
_FOR_MEASURING = "--config"
"""Names a file of ours that switches an engine's counters on; no user may give it."""

# Everything else in a launch's environment belongs to the machine or is a secret: it stays here.
_PORTABLE = ("VLLM_", "SGLANG_", "OMP_", "KMP_", "MKL_", "TORCH", "PYTORCH_", "NCCL_", "HF_HUB_")
_PORTABLE_NAMES = ("DO_NOT_TRACK", "TOKENIZERS_PARALLELISM")


def portable(launch: Launch, model_path: str, wanted_env: dict[str, str]) -> Command:
    """The command of `launch` without the paths of its environment.

    `model_path` is what the specification names; a path after --model takes its place, as it does
    when a derived checkpoint was served. `wanted_env` are the candidate's own variables.
    """
    head, *rest = launch.argv
    venv = str(PurePath(head).parent.parent)
    is_python = PurePath(head).name.startswith("python")
    words = [Word(slot=Slot.PYTHON) if is_python else Word(text=PurePath(head).name)]
    if rest and (program := _PROGRAMS.get(PurePath(rest[0]).name)):
        words, rest = [Word(text=program)], rest[1:]
    flag = ""
    for argument in _split(rest):
        if _FOR_MEASURING in (argument, flag):
            flag = argument
            continue
        slot = _SLOTS.get(flag) if not argument.startswith("--") else None
        if slot is Slot.MODEL:
            model_path = argument
        if slot is None and argument == model_path:
            slot = Slot.MODEL
        words.append(Word(slot=slot) if slot else Word(text=argument))
        flag = argument
    env = {
        name: value
        for name, value in sorted((launch.env | wanted_env).items())
        if (name in wanted_env or name in _PORTABLE_NAMES or name.startswith(_PORTABLE))
        and venv not in value
    }
    return Command(words=tuple(words), env=env, model_path=model_path)


def _split(arguments: list[str]) -> list[str]:
    """--port=8000 as two words, for the flags that hold a slot."""
    words: list[str] = []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        words += [name, value] if equals and name in _SLOTS else [argument]
    return words
