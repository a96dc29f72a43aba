"""What the conditions of technique cards may ask about."""

from advisor.profiling import concurrency_of
from knowledge.objectives import bounded
from knowledge.types import Candidate, Profile, Task
from tools import engines
from tools.engines.base import FlagCatalog


def facts_of(
    task: Task, base: Candidate, catalog: FlagCatalog, profile: Profile | None
) -> dict[str, object]:
    """One nested mapping; names are those of the types, dashes in flags become underscores."""
    load, hardware = task.workload, task.hardware
    flags: dict[str, object] = {name.replace("-", "_"): None for name in catalog.flags}
    flags |= {name.replace("-", "_"): value for name, value in base.config.flags.items()}
    return {
        "engine": base.config.engine,
        "engine_title": engines.load(base.config.engine).title,
        "engines": frozenset(task.engines),
        "engine_flags": frozenset(catalog.flags),
        "engine_env": frozenset(catalog.env),
        "flags": flags,
        "env": base.config.env,
        "artifact": base.artifact.scheme if base.artifact else None,
        "model": task.model.facts.model_dump(mode="json")
        | {
            "bytes": task.model.weights_bytes,
            "dummy_weights": task.model.dummy_weights,
        },
        "hardware": hardware.model_dump(mode="json", exclude={"device"}),
        "device": hardware.device.model_dump(mode="json"),
        "isa": hardware.isa,
        "workload": {
            "concurrency": concurrency_of(task),
            "input_tokens": load.input_tokens.mean,
            "output_tokens": load.output_tokens.mean,
            "shared_prefix_tokens": load.shared_prefix_tokens,
            "text": load.text,
        },
        "objective": task.objective.value,
        "slos": bounded(task.slos),
        "budget": {"seconds": task.budget.seconds},
        "profile": profile.model_dump(mode="json") if profile else {},
        "memory": {"free_bytes": hardware.host_memory_bytes},
    }
