"""What a conversation has said so far, as typed values. None: nobody said it."""

from typing import Literal

from knowledge.types import Frozen

Currency = Literal["$", "₽", "€"]
Scheme = Literal["fp32", "bf16", "fp16", "fp8", "int8", "int4", "nvfp4", "mxfp4", "int2", "int3"]


class Money(Frozen):
    """An amount as it was said."""

    value: float
    currency: Currency = "$"


class UnknownName(Frozen):
    """A name that looks like a model or a device and is in no catalog."""

    text: str
    near: tuple[str, ...] = ()


class Frame(Frozen):
    """The question's nouns and numbers."""

    models: tuple[str, ...] = ()
    """File names in knowledge/architectures, in the order of the question."""
    model_text: str | None = None
    """How the user called the first one."""
    model_guessed: tuple[str, ...] = ()
    """What else the name may stand for: «70b» fits several."""
    parameters: float | None = None
    """Said size of a model without a known name."""
    gpus: tuple[str, ...] = ()
    gpu_counts: tuple[int | None, ...] = ()
    """Beside gpus: how many of each."""
    gpu_count: int | None = None
    """Said without a name: «на 8 картах»."""
    nodes: int | None = None
    nvlink: bool | None = None
    gpu_memory_gb: float | None = None
    ram_gb: float | None = None
    """Memory of the host, never of a card."""
    unknown: tuple[UnknownName, ...] = ()

    weights: Scheme | None = None
    schemes: tuple[Scheme, ...] = ()
    """All that were named, for comparisons."""
    methods: tuple[str, ...] = ()
    """awq, gptq, gguf, smoothquant, bitsandbytes."""
    kv: Literal["bf16", "fp8", "int8"] | None = None
    engine: str | None = None
    engines: tuple[str, ...] = ()
    tp: int | None = None
    pp: int | None = None

    context_tokens: int | None = None
    contexts: tuple[int, ...] = ()
    """All context lengths of the question, for «с 32к до 8к»."""
    input_tokens: int | None = None
    prefix_tokens: int | None = None
    """A beginning that requests share: the system prompt, a document."""
    output_tokens: int | None = None
    concurrency: int | None = None
    people: int | None = None
    """Staff that uses the service, few of them at any moment."""
    requests_per_s: float | None = None
    tokens_per_s: float | None = None
    """Measured or asked for, of the whole deployment."""
    user_tokens_per_s: float | None = None
    """Of one user."""
    tokens_per_day: float | None = None
    requests_per_day: float | None = None
    tokens_total: float | None = None
    """A job's size: «50 млн токенов за ночь»."""
    documents: float | None = None
    """A job's size in documents or requests without a period."""

    ttft_ms: float | None = None
    tpot_ms: float | None = None
    e2e_ms: float | None = None
    hours: float | None = None
    """A duration in hours with no other role: the tuning, the mean time between interruptions."""
    minutes: float | None = None
    years: float | None = None
    gbit_per_s: float | None = None

    gpu_hour: Money | None = None
    per_million: tuple[Money, ...] = ()
    """Prices per 1M tokens, in the order of the question."""
    budget_month: Money | None = None
    purchase: Money | None = None
    """A price that is paid once."""
    kwh: Money | None = None
    shares: tuple[float, ...] = ()
    """Percentages as shares of one, in the order of the question."""
    utilization: float | None = None

    @property
    def devices(self) -> int | None:
        """How many accelerators, where it was said."""
        named = self.gpu_counts[0] if self.gpu_counts else None
        return named or self.gpu_count

    @property
    def rate_per_s(self) -> float | None:
        """Requests per second that must be served, from whatever period was said."""
        if self.requests_per_s:
            return self.requests_per_s
        return self.requests_per_day / 86400 if self.requests_per_day else None

    @property
    def job(self) -> float | None:
        """The size of a job without a period, in whatever it was said."""
        return self.tokens_total or self.documents

    @property
    def purchase_or_power(self) -> bool:
        """Whether money was said that is not rent."""
        return self.purchase is not None or self.kwh is not None

    def said(self) -> dict[str, object]:
        """Only what somebody said."""
        return {k: v for k, v in self.model_dump(mode="json").items() if v not in (None, [], ())}


_GROUPS: tuple[tuple[str, ...], ...] = (
    ("models", "model_text", "model_guessed", "parameters"),
    ("weights", "schemes", "methods"),
    ("ttft_ms", "tpot_ms", "e2e_ms"),
)
_PER_QUESTION = {
    "shares", "hours", "minutes", "years", "unknown", "nvlink", "utilization", "purchase", "kwh",
    "tokens_total", "documents", "gbit_per_s", "contexts",
}  # fmt: skip


def inherit(new: Frame, old: Frame) -> tuple[Frame, tuple[str, ...]]:
    """The new question's values over the old ones, and the names of what was taken over.

    Names of one group replace each other together; a measured speed does not outlive the model,
    the device or the precision that it was measured on.
    """
    empty = Frame()
    said = {name for name in Frame.model_fields if getattr(new, name) != getattr(empty, name)}
    blocked = set(_PER_QUESTION)
    for group in _GROUPS:
        if said & set(group):
            blocked |= set(group)
    if said & {"gpus"}:
        blocked |= {"gpu_memory_gb", "gpu_hour"}
    if said & {"models", "gpus", "weights"}:
        blocked |= {"tokens_per_s", "ttft_ms", "tpot_ms", "e2e_ms"}
    if said & {"context_tokens", "input_tokens", "output_tokens"}:
        blocked |= {"context_tokens", "input_tokens", "output_tokens"} - {"output_tokens"}
    if "concurrency" in said or "requests_per_s" in said:
        blocked |= {"concurrency", "requests_per_s"}
    taken = {
        name: getattr(old, name)
        for name in Frame.model_fields
        if name not in said | blocked and getattr(old, name) != getattr(empty, name)
    }
    counts = taken.pop("gpu_counts", None)
    if "gpus" in said:
        taken.pop("gpus", None)
        if counts and new.devices is None and len(new.gpus) == 1:
            taken["gpu_counts"] = counts[:1]
    elif counts:
        if new.gpu_count is not None:
            counts = (new.gpu_count, *counts[1:])
        taken["gpu_counts"] = counts
    return new.replace(**taken), tuple(taken)
