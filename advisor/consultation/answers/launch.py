"""The launch command for a model on a device."""

import re
from dataclasses import replace

from advisor.consultation.answers import _kubernetes as kubernetes
from advisor.consultation.answers._common import (
    ask,
    assumptions,
    cite_prediction,
    cite_setting,
    devices,
    forecast,
    offer_session,
    usual_gpu,
)
from advisor.consultation.calculators import formats
from advisor.consultation.calculators.memory import fewest, room
from advisor.consultation.question import Question
from advisor.consultation.setting import Setting, resolve
from advisor.consultation.understanding.wishes import Wishes, wishes
from advisor.consultation.writing import Draft

EXAMPLES = (
    "дай команду запуска vllm для модели",
    "как запустить модель на карта",
    "какие параметры запуска для модели на карта",
    "порекомендуй настройки vllm для модели",
    "посоветуй флаги vllm",
    "дай docker compose для vllm с моделью",
    "настрой vllm под rag вход # выход #",
    "please recommend vllm flags for модель",
    "how to serve модель",
    "как поднять модель на # x карта",
    "оптимальная конфигурация vllm для модели",
)
COVERS = ("fit",)
PART = True


ANYWHERE = True


def score(question: Question) -> float:
    if question.has(
        r"команд\w*|какие флаги|какие параметры запуска|аргумент\w* запуска|launch command|строк\w*"
        r" запуска|докер|docker|vllm serve|конфиг\w* (для|vllm|sglang)|флаги"
    ) or _manifest(question):
        return 8.9 if question.has_model else 5
    if question.has(_SETTINGS):
        return 8.9 if question.has_model else 0
    if question.has(
        r"(как\w*|how (?:do|can|should) (?:i|we)|how to) (правильно |лучше |мне"
        r" )?(запуст|старт|подня|развер|deploy|serve|launch|run|запуска|настро)"
    ):
        return 8.3 if question.has_model else 4
    return 4.4 if question.has_model and question.has(r"^(запусти|подними|разверни)") else 0


def _manifest(question: Question) -> bool:
    """A Kubernetes object is to be written."""
    return question.has(_KUBERNETES) and question.has(
        r"накидай|напиши|дай|манифест|manifest|yaml|ямл|пример|deployment под|как (?:развер|запуст)"
    )


_SETTINGS = (
    r"(порекоменд\w*|посовет\w*|подбер\w*|какие|каки[ем] (лучше|оптимальн\w+)|лучшие|оптимальн\w+|"
    r"recommend|best|optimal|suggest)[^.?]{0,30}"
    r"(настройк|параметр\w* (vllm|запуска|сервера|движка)|флаг|конфиг|settings|flags|config)|"
    r"^\W*(настрой|сконфигурируй|оптимальн\w+ конфиг)"
)
"""Settings are asked for: the command, and why each of them."""
_KUBERNETES = r"k8s|kubernetes|кубер\w*|deployment|деплоймент\w*|helm"


async def write(question: Question, draft: Draft) -> None:
    setting = resolve(question.frame)
    if setting is None:
        ask(draft, "Для какой модели и GPU нужна команда?", "For which model and GPU?")
        if _manifest(question):
            cards = question.frame.devices or 1
            flags = ["ПАПКА_МОДЕЛИ", *([f"--tensor-parallel-size {cards}"] if cards > 1 else [])]
            draft.add("Пока с именем модели вместо `ПАПКА_МОДЕЛИ`:", "With a placeholder:")
            draft.add("```yaml\n" + kubernetes.manifest(flags, cards, "8000") + "\n```")
            draft.cite("vLLM documentation, Deployment, Kubernetes", "2026-11-01")
        return
    if setting.gpu is None:
        setting = usual_gpu(setting, question, draft)
    gpu = setting.gpu
    assert gpu is not None
    if formats.how(setting.weights, gpu) == "no" and setting.weights in ("bf16", "fp8"):
        setting = setting.change(weights="fp16")
    found = room(setting)
    where = devices(draft, gpu, setting.count)
    if found.loads:
        draft.lead(
            f"Команда для {setting.subject.title} в {setting.label} на {where} (веса"
            f" {draft.gib(found.weights_bytes)}, в памяти помещается {found.most} запросов по"
            f" {draft.num(setting.context_tokens, 0)} токенов):",
            f"Command for {setting.subject.title} in {setting.label} on {where}:",
        )
    else:
        more = fewest(setting)
        need = f" Хватит {more[0]} карт." if more else ""
        draft.lead(
            f"**Не влезает:** {setting.subject.title} в {setting.label} на {where}: веса"
            f" {draft.gib(found.weights_bytes)}, доступно {draft.gib(found.usable_bytes)}.{need}"
            " Ниже команда, которая помещается.",
            f"**Does not fit** on {where}. Below is a command that does.",
        )
        setting = setting.change(count=more[0]) if more else setting.change(weights="int4")
        found = room(setting)
    language = "yaml" if question.has(_KUBERNETES + r"|compose") else "bash"
    draft.add(f"```{language}\n" + command(setting, question, found.most) + "\n```")
    _expected(question, setting, draft)
    _notes_of(setting, draft)
    assumptions(draft, setting, skip=("одновременных",))
    cite_setting(draft, setting)
    offer_session(
        draft, question, engine=setting.engine if setting.engine in ("vllm", "sglang") else "vllm"
    )


def _expected(question: Question, setting: Setting, draft: Draft) -> None:
    """Why these settings, and what speed to expect, where lengths or a load were said."""
    frame = question.frame
    if not room(setting).loads or not (frame.input_tokens or question.has(_SETTINGS)):
        return
    reasons = [
        f"`--max-model-len` {_context(setting, question)} — вход и выход вместе; больше нужного не"
        " ставьте: длинный предел отнимает место под KV cache у одного худшего запроса",
        "`--max-num-seqs` — столько запросов держит память; меньше, если TPOT выше SLO",
    ]
    if setting.layout.tp > 1:
        reasons.append(
            f"`--tensor-parallel-size {setting.layout.tp}` — карты делят веса и KV cache;"
            " если копия помещается на одну карту и важен throughput, лучше реплики"
        )
    if setting.input_tokens >= 4 * setting.output_tokens:
        reasons.append(
            "вход намного длиннее выхода (RAG, анализ): предел — prefill и TTFT; prefix caching"
            " включён по умолчанию, неизменную часть ставьте первой; `--max-num-batched-tokens`"
            " 8192 и больше ускорит TTFT, меньше (2048) выровняет ITL; FP8, где он есть, ускорит"
            " prefill"
        )
    streams = frame.concurrency or min(8, room(setting).most)
    seen = forecast(question, setting.change(concurrency=streams))
    if draft.language == "ru":
        draft.add("\n".join(["**Почему так**", "", *(f"- {reason}" for reason in reasons)]))
    draft.add(
        f"При {streams} одновременных ожидается ({seen.speed_provenance.russian}, 90 % интервал)"
        f" TTFT {draft.interval(seen.ttft_ms, 'мс', 'ms')}, TPOT"
        f" {draft.interval(seen.tpot_ms, 'мс', 'ms')}.",
        f"At {streams} concurrent expect TTFT {draft.interval(seen.ttft_ms, 'мс', 'ms')}, TPOT"
        f" {draft.interval(seen.tpot_ms, 'мс', 'ms')}"
        f" ({draft.provenance(seen.speed_provenance)}).",
    )
    cite_prediction(draft, seen)


def _context(setting: Setting, question: Question) -> int:
    """The limit of a request's length: as said, or a usual one."""
    asked = question.frame.context_tokens or (
        setting.input_tokens + setting.output_tokens if question.frame.input_tokens else None
    )
    return asked or min(8192, setting.facts.max_position)


def _wished(question: Question) -> Wishes:
    """What this message asks of the command, over what those before it asked."""
    own = wishes(question.raw)
    for text in reversed(question.history if question.follow_up else ()):
        old = wishes(text)
        own = replace(
            own,
            flags=old.flags | own.flags,
            model=own.model or old.model,
            hub_token=own.hub_token or old.hub_token,
            everywhere=own.everywhere or old.everywhere,
            cache=own.cache or old.cache,
            gguf=own.gguf or old.gguf,
        )
    return own


def command(setting: Setting, question: Question, most: int) -> str:
    """The command of the engine that was asked for; vLLM else."""
    wished = _wished(question)
    hub = wished.model or (setting.subject.known.hub if setting.subject.known else "ПАПКА_МОДЕЛИ")
    if setting.engine == "sglang":
        return _sglang(setting, question, wished, hub)
    if setting.engine in ("llama-cpp", "llamacpp", "llama.cpp"):
        return _llamacpp(question, wished, _context(setting, question))
    flags, port = _vllm(setting, question, most, wished, hub)
    if question.has(r"compose"):
        return _compose(flags, port, wished)
    if question.has(_KUBERNETES):
        return kubernetes.manifest(flags, setting.count, port)
    if question.has(r"docker|докер"):
        token = " -e HF_TOKEN" if wished.hub_token or _gated(setting) else ""
        cache = wished.cache or "~/.cache/huggingface"
        head = (
            f"docker run --gpus all --ipc=host -p 127.0.0.1:{port}:8000{token}"
            f" -v {cache}:/root/.cache/huggingface vllm/vllm-openai:latest --model"
        )
        return _lines(head, flags)
    return _lines("vllm serve", [*flags, _host(wished), f"--port {port}"])


def _host(wished: Wishes) -> str:
    return "--host 0.0.0.0" if wished.everywhere else "--host 127.0.0.1"


def _sglang(setting: Setting, question: Question, wished: Wishes, hub: str) -> str:
    return _lines(
        "python -m sglang.launch_server",
        [
            f"--model-path {hub}",
            f"--tp {setting.layout.tp}",
            f"--context-length {_context(setting, question)}",
            f"--mem-fraction-static {wished.flags.get('gpu-memory-utilization', '0.9')}",
            *(["--quantization fp8"] if setting.weights == "fp8" else []),
            *(["--kv-cache-dtype fp8_e5m2"] if setting.kv == "fp8" else []),
            _host(wished),
            f"--port {wished.flags.get('port', '8000')}",
        ],
    )


def _llamacpp(question: Question, wished: Wishes, context: int) -> str:
    """llama-server shares one context between its slots."""
    slots = re.search(r"(\d+)\s*слот", question.text)
    count = int(slots[1]) if slots else question.frame.concurrency or 4
    each = question.has(r"(?:на|каждый|каждому)\s+(?:каждый\s+)?слот")
    return _lines(
        "llama-server",
        [
            f"-m {wished.gguf or 'МОДЕЛЬ.gguf'}",
            f"-c {context * count if each else context}",
            "-ngl 999",
            f"-np {count}",
            *(["-fa on"] if question.has(r"flash.?att") else []),
            _host(wished),
            f"--port {wished.flags.get('port', '8000')}",
        ],
    )


def _vllm(
    setting: Setting, question: Question, most: int, wished: Wishes, hub: str
) -> tuple[list[str], str]:
    """The model and the flags of vLLM, and the port."""
    asked = dict(wished.flags)
    port, share = asked.pop("port", "8000"), asked.pop("gpu-memory-utilization", "")
    flags = [hub]
    if setting.layout.tp > 1:
        flags.append(f"--tensor-parallel-size {setting.layout.tp}")
    if setting.layout.pp > 1:
        flags.append(f"--pipeline-parallel-size {setting.layout.pp}")
    share = share or f"{setting.utilization:g}"
    flags += [
        f"--max-model-len {_context(setting, question)}",
        f"--gpu-memory-utilization {share}",
    ]
    if setting.weights == "fp8" and not setting.facts.quantization:
        flags.append("--quantization fp8")
    if setting.weights == "fp16" and setting.facts.dtype != "float16":
        flags.append("--dtype float16")
    if setting.kv in ("fp8", "int8"):
        flags.append("--kv-cache-dtype fp8")
    streams = question.frame.concurrency or (256 if question.has(_SETTINGS) else None)
    if streams and "max-num-seqs" not in asked:
        said = question.has(r"до \d+ (?:одновременн|параллельн|запрос|concurrent)")
        flags.append(f"--max-num-seqs {streams if said else min(streams, max(1, most))}")
    flags += [
        f"--{name}" if value is True else f"--{name} {value}" for name, value in asked.items()
    ]
    return flags, str(port)


def _gated(setting: Setting) -> bool:
    return bool(setting.subject.known and setting.subject.known.gated)


def _compose(flags: list[str], port: str, wished: Wishes) -> str:
    """The same flags as a compose service."""
    cache = wished.cache or "~/.cache/huggingface"
    lines = [
        "services:",
        "  vllm:",
        "    image: vllm/vllm-openai:latest  # закрепите версию",
        "    ipc: host",
        f'    ports: ["127.0.0.1:{port}:8000"]',
        f'    volumes: ["{cache}:/root/.cache/huggingface"]',
        *(["    env_file: .env  # HF_TOKEN=…"] if wished.hub_token else []),
        "    command: >-",
        f"      --model {flags[0]}",
        *(f"      {flag}" for flag in flags[1:]),
        "    deploy:",
        "      resources:",
        "        reservations:",
        "          devices: [{driver: nvidia, count: all, capabilities: [gpu]}]",
    ]
    return "\n".join(lines)


def _lines(head: str, flags: list[str]) -> str:
    return f"{head} " + " \\\n  ".join(flags)


def _notes_of(setting: Setting, draft: Draft) -> None:
    if setting.weights in ("int4", "int8"):
        draft.add(
            f"Для {setting.label} нужен готовый квантованный checkpoint (AWQ или GPTQ для INT4,"
            " W8A8 для INT8): подставьте его id вместо исходного; движок увидит формат сам. Свой"
            " делает `advisor optimize` или llm-compressor."
        )
    if setting.weights == "fp8":
        draft.add(
            "`--quantization fp8` квантует веса при загрузке; готовый FP8 checkpoint загрузится"
            " быстрее и без флага."
        )
    if _gated(setting):
        draft.add("Модель gated: сначала примите лицензию на хабе и войдите (`hf auth login`).")
    draft.add(
        "Флаги сверяйте с установленной версией (`vllm serve --help`): `advisor optimize` читает их"
        " из неё сам.",
        "Check the flags against your installed version.",
    )
