"""A frame made whole for the calculators: every default that was filled in is named."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import log

from advisor.consultation.understanding.frame import Frame
from knowledge.devices import CatalogDevice, catalog, require_gpu
from knowledge.known_models import Architecture, known_architectures
from knowledge.prediction import Layout, Load, Query
from knowledge.types import ModelFacts

DTYPES = {
    "fp32": "float32",
    "bf16": "bfloat16",
    "fp16": "float16",
    "fp8": "fp8",
    "int8": "int8",
    "int4": "int4",
    "nvfp4": "fp4",
    "mxfp4": "fp4",
    "int3": "int4",
    "int2": "int4",
}
LABELS = {
    "fp32": "FP32",
    "bf16": "BF16",
    "fp16": "FP16",
    "fp8": "FP8",
    "int8": "INT8",
    "int4": "INT4",
    "nvfp4": "NVFP4",
    "mxfp4": "MXFP4",
    "int3": "INT3",
    "int2": "INT2",
}
CHAT_INPUT, CHAT_OUTPUT = 1024, 256
_AT_ONCE = 0.05
"""Of a staff, those whose request runs at a busy moment: a usual share, and said as assumed."""


@dataclass(frozen=True)
class Subject:
    """The model that is asked about."""

    title: str
    facts: ModelFacts
    known: Architecture | None = None
    """None: only a size was said, and the shape is a neighbour's."""


@dataclass(frozen=True)
class Assumption:
    """A default that nobody said."""

    ru: str
    en: str


@dataclass(frozen=True)
class Setting:
    """One deployment, whole."""

    subject: Subject
    weights: str
    kv: str
    gpu: CatalogDevice | None = None
    count: int = 1
    context_tokens: int = CHAT_INPUT + CHAT_OUTPUT
    input_tokens: int = CHAT_INPUT
    output_tokens: int = CHAT_OUTPUT
    concurrency: int = 1
    engine: str = "vllm"
    tp: int | None = None
    pp: int | None = None
    utilization: float = 0.9
    assumed: tuple[Assumption, ...] = field(default=())

    @property
    def facts(self) -> ModelFacts:
        return self.subject.facts

    @property
    def card(self) -> CatalogDevice:
        """The device, where one must have been chosen by now."""
        assert self.gpu is not None
        return self.gpu

    @property
    def label(self) -> str:
        return LABELS.get(self.weights, self.weights.upper())

    @property
    def layout(self) -> Layout:
        return layout_for(self.facts, self.gpu, self.count, self.tp, self.pp)

    def change(self, **values: object) -> "Setting":
        return replace(self, **values)  # type: ignore[arg-type]

    @property
    def query(self) -> Query:
        """The question to the predictor. The device must be set."""
        assert self.gpu is not None
        return Query(
            facts=self.facts,
            device=self.gpu.device,
            model=self.subject.title,
            load=Load(
                input_tokens=self.input_tokens,
                output_tokens=self.output_tokens,
                concurrency=self.concurrency,
            ),
            engine=self.engine,
            weight_dtype=DTYPES[self.weights],
            kv_dtype="fp8" if self.kv in ("fp8", "int8") else "bfloat16",
            layout=self.layout,
            memory_utilization=self.utilization,
        )


def layout_for(
    facts: ModelFacts,
    gpu: CatalogDevice | None,
    count: int,
    tp: int | None = None,
    pp: int | None = None,
) -> Layout:
    """TP within a host where the heads divide, PP for the rest; DP only where nothing divides."""
    if tp or pp:
        tp, pp = tp or max(1, count // (pp or 1)), pp or max(1, count // (tp or count))
        return Layout(tp=tp, pp=pp)
    host = min(count, gpu.per_host if gpu else 8)
    best = max(n for n in range(1, host + 1) if count % n == 0 and facts.heads % n == 0)
    rest = count // best
    if rest <= facts.layers:
        return Layout(tp=best, pp=rest)
    return Layout(tp=best, dp=rest)


def device_of(stem: str) -> CatalogDevice:
    """A card of the catalog, or a processor that was named in its place."""
    cpu = next((cpu for cpu in catalog("cpu") if cpu.stem == stem), None)
    return cpu or require_gpu(stem)


def placed(stem: str, gigabytes: float | None) -> CatalogDevice:
    """A device; of an Apple machine the memory that was said, since one chip comes with many."""
    gpu = device_of(stem)
    if gpu.vendor != "apple" or not gigabytes or gigabytes * 2**30 >= gpu.device.memory_bytes:
        return gpu
    memory = int(gigabytes * 2**30)
    return gpu.replace(device=gpu.device.replace(memory_bytes=memory))


def subject_of(frame: Frame) -> Subject | None:
    """The model of a frame; a bare size takes the shape of the known model nearest in size."""
    if frame.models:
        known = known_architectures()[frame.models[0]]
        if frame.parameters and abs(log(frame.parameters / known.facts.parameters)) > 0.12:
            return scaled(frame.parameters)
        return Subject(known.title, known.facts, known)
    return scaled(frame.parameters) if frame.parameters else None


def scaled(parameters: float) -> Subject:
    """A model of this size: dense, with the layers and heads of the nearest known one."""
    dense = [a for a in known_architectures().values() if not a.is_moe and a.facts.experts == 0]
    near = min(dense, key=lambda a: abs(log(a.facts.parameters / parameters)))
    facts = near.facts
    size = int(parameters)
    shape = facts.replace(
        parameters=size, active_parameters=size, quantization=None, dtype="bfloat16"
    )
    billions = f"{parameters / 1e9:g}".replace(".", ",")
    return Subject(f"{billions}B (форма {near.title})", shape)


def native_scheme(facts: ModelFacts) -> str:
    """The format in which the checkpoint comes."""
    stored = (facts.quantization or "").lower()
    for name in ("mxfp4", "nvfp4", "fp8", "int4", "int8"):
        if name in stored:
            return name
    return {"float16": "fp16", "float32": "fp32"}.get(facts.dtype, "bf16")


def resolve(frame: Frame, *, concurrency: int = 1, context: int | None = None) -> Setting | None:
    """The setting of a frame, or None where it names no model. Defaults become assumptions."""
    subject = subject_of(frame)
    if subject is None:
        return None
    assumed: list[Assumption] = []
    gpu = placed(frame.gpus[0], frame.gpu_memory_gb) if frame.gpus else None
    weights = _weights(frame, subject, gpu, assumed)
    lengths = _lengths(frame, assumed, context)
    streams = frame.concurrency
    if streams is None and frame.people:
        streams = max(1, round(frame.people * _AT_ONCE))
        assumed.append(
            Assumption(
                f"из {frame.people} человек одновременно спрашивают {_AT_ONCE:.0%}".replace(
                    "%", " %"
                )
                + f", то есть {streams} запросов",
                f"{_AT_ONCE:.0%} of {frame.people} people at once: {streams} requests",
            )
        )
    if streams is None:
        streams = concurrency
        assumed.append(
            Assumption(f"одновременных запросов: {streams}", f"concurrent requests: {streams}")
        )
    count = frame.devices or (frame.tp or 1) * (frame.pp or 1)
    if gpu and not frame.devices and count == 1:
        assumed.append(Assumption(f"одна {gpu.name}", f"one {gpu.name}"))
    if subject.known and frame.model_guessed:
        known = known_architectures()
        others = ", ".join(
            known[stem].title if stem in known else stem for stem in frame.model_guessed[:3]
        )
        assumed.append(
            Assumption(
                f"модель {subject.title} (могли иметься в виду и {others})",
                f"model {subject.title} (could also be {others})",
            )
        )
    if frame.kv is None:
        assumed.append(Assumption("KV cache в 16 битах", "KV cache in 16 bits"))
    return Setting(
        subject=subject,
        weights=weights,
        kv=frame.kv or "bf16",
        gpu=gpu,
        count=count,
        context_tokens=lengths[0],
        input_tokens=lengths[1],
        output_tokens=lengths[2],
        concurrency=max(1, streams),
        engine=_engine(frame),
        tp=frame.tp,
        pp=frame.pp,
        assumed=tuple(assumed),
    )


def _engine(frame: Frame) -> str:
    return frame.engine or "vllm"


def _weights(
    frame: Frame, subject: Subject, gpu: CatalogDevice | None, assumed: list[Assumption]
) -> str:
    if frame.weights:
        return frame.weights
    if gpu is not None and gpu.device.kind in ("cpu", "metal"):
        assumed.append(
            Assumption(
                "веса в INT4 (GGUF Q4_K_M), как обычно на CPU и Mac; BF16 вчетверо тяжелее и"
                " вчетверо медленнее",
                "weights in INT4 (GGUF Q4_K_M), as usual on CPUs and Macs",
            )
        )
        return "int4"
    name = native_scheme(subject.facts)
    if name == "bf16" and gpu is not None and not gpu.native("bfloat16"):
        name = "fp16"
    assumed.append(
        Assumption(
            f"веса в {LABELS[name]}, как в checkpoint",
            f"weights in {LABELS[name]}, as in the checkpoint",
        )
    )
    return name


def _lengths(frame: Frame, assumed: list[Assumption], default: int | None) -> tuple[int, int, int]:
    """Context, input and output tokens."""
    given_in, given_out, context = frame.input_tokens, frame.output_tokens, frame.context_tokens
    if context is None and given_in is None and given_out is None:
        if default is not None:
            assumed.append(_tokens("контекст", "context", default))
            output = min(CHAT_OUTPUT, default // 4) or 1
            return default, max(1, default - output), output
        assumed.append(
            Assumption(
                f"вход {CHAT_INPUT} и выход {CHAT_OUTPUT} токенов",
                f"{CHAT_INPUT} input and {CHAT_OUTPUT} output tokens",
            )
        )
        return CHAT_INPUT + CHAT_OUTPUT, CHAT_INPUT, CHAT_OUTPUT
    if given_out is None:
        given_out = CHAT_OUTPUT if context is None else max(1, min(CHAT_OUTPUT, context // 4))
        assumed.append(_tokens("выход", "output", given_out))
    if given_in is None:
        if context is None:
            given_in = CHAT_INPUT
            assumed.append(_tokens("вход", "input", given_in))
        else:
            given_in = max(1, context - given_out)
    return context or given_in + given_out, given_in, given_out


def _tokens(ru: str, en: str, count: int) -> Assumption:
    return Assumption(f"{ru} {count} токенов", f"{en} {count} tokens")


def names(models: Sequence[str]) -> str:
    """Titles of catalog models for a sentence."""
    return ", ".join(known_architectures()[stem].title for stem in models)
