"""The policy file for new models: which models are tuned, for what, within which budget."""

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, StringConstraints, ValidationError

from api.schemas import Body, SessionRequest
from knowledge.errors import BadInput
from knowledge.types import FlagValue, Frozen

_EXAMPLE = "Пример: deploy/new-models.yaml"


class Rule(Frozen):
    """Sessions for the models whose name fits one of the patterns."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,64}$")]
    models: tuple[str, ...] = Field(min_length=1)
    """Shell patterns for the folder's name or the hub id, e.g. "*-Instruct"."""
    engine: str = "vllm"
    workload: str = "chat"
    concurrency: int | None = None
    objective: str = "latency"
    slo: tuple[str, ...] = ()
    quality_floor: float | None = None
    budget: str = "30m"
    trials: int | None = None
    flags: dict[str, FlagValue] = {}
    naive: bool | None = None
    webhook: str | None = None
    notify: str | None = None
    """Where a bot reports, e.g. slack:#inference."""

    def fits(self, model: str) -> bool:
        name = Path(model).name if model.startswith(("/", "~")) else model
        return any(fnmatchcase(name.lower(), pattern.lower()) for pattern in self.models)

    def request(self, model: str) -> SessionRequest:
        """The session that this rule asks for. Raises BadInput."""
        fields = self.model_dump(exclude={"name", "models", "notify"}) | {"model": model}
        try:
            return SessionRequest(**fields)
        except ValidationError as error:
            first = error.errors()[0]
            raise BadInput(
                f"правило {self.name}: {first['loc'][0]}: {first['msg']}", _EXAMPLE
            ) from None


class Policy(Frozen):
    """Rules in the order in which they are asked; the first that fits is taken."""

    rules: tuple[Rule, ...] = Field(min_length=1)

    @classmethod
    def load(cls, path: Path | None) -> "Policy":
        """Raises BadInput for a file that is missing or wrong."""
        if path is None:
            raise BadInput("не задан файл правил для новых моделей", "Задайте ADVISOR_HOOK_POLICY")
        try:
            return cls.model_validate(yaml.safe_load(path.expanduser().read_text("utf-8")))
        except OSError as error:
            raise BadInput(f"файл правил {path} не читается: {error.strerror}", _EXAMPLE) from None
        except yaml.YAMLError as error:
            raise BadInput(
                f"файл правил {path}: {' '.join(str(error).split())}", _EXAMPLE
            ) from None
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise BadInput(f"файл правил {path}: {where}: {first['msg']}", _EXAMPLE) from None

    def rule_for(self, model: str) -> Rule | None:
        return next((rule for rule in self.rules if rule.fits(model)), None)


class NewModel(Body):
    """A model has appeared."""

    model: Annotated[
        str,
        StringConstraints(min_length=1, max_length=512, pattern=r"^[^\x00-\x1f\x7f]*$"),
        Field(description="Папка, .gguf или id с хаба.", examples=["/models/My-7B-Instruct"]),
    ]
