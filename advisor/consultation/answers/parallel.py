"""TP, PP, DP, EP: how to spread a model over GPUs."""

from advisor.consultation.answers import _notes
from advisor.consultation.answers._common import assumptions, cite_model, cite_setting, devices
from advisor.consultation.calculators.memory import fewest, room
from advisor.consultation.question import Question
from advisor.consultation.setting import resolve
from advisor.consultation.writing import Draft
from knowledge.types import Attention

_WORDS = (
    r"(?<![a-zа-я])(tp|pp|dp|ep)(?![a-z])|tensor.?parallel|pipeline.?parallel|data.?parallel|expert.?parallel|тензорн\w+"
    r" паралл|конвейерн\w+ паралл|эксперт\w* паралл|экспертн\w+ паралл|параллелизм|разбить"
    r" модель|раскидать|распил|шардир"
)


EXAMPLES = (
    "какой tensor parallel выбрать",
    "tp или pp на # картах",
    "как разложить модель по # картам",
    "как выбрать число реплик и tp на ноде",
    "expert parallel или tensor parallel для moe",
    "как раскидать модель на несколько gpu",
    "нужен ли nvlink",
    "how to split модель over # gpus",
)


def score(question: Question) -> float:
    asked = question.has(_WORDS)
    if not asked:
        return 5.5 if question.frame.nodes and question.has(r"узл|нод|node") else 0
    if question.frame.nodes and question.has(r"(?<![a-z])tp") and question.has(r"(?<![a-z])pp"):
        return 9.5
    if question.has(r"медленн|почему|упал|просел|хуже"):
        return 4
    if question.has(r"команд|флаг|влез|помест|serve|как (запуст|подня|разверн)"):
        return 4
    if question.has(
        r"(прикин|оцени|сколько|какой|какая|ожида)\w*[^.?]{0,20}(ttft|tpot|ток/с|tok/s)"
    ):
        return 4
    return 8.2


_LINK = r"nvlink|нвлинк|pcie|пцие"


async def write(question: Question, draft: Draft) -> None:
    frame = question.frame
    setting = resolve(frame)
    if frame.tp and question.models and question.models[0].facts.heads % frame.tp:
        draft.lead(
            f"**Нельзя:** {question.models[0].facts.heads} голов {question.models[0].title} не"
            f" делятся на {frame.tp}.",
            f"**No:** {question.models[0].facts.heads} heads don't divide by {frame.tp}.",
        )
        cite_model(draft, question.models[0])
    elif frame.tp and frame.tp & (frame.tp - 1) and not question.models:
        draft.lead(
            f"**Обычно нельзя: TP={frame.tp} должно делить число голов внимания и KV heads.** У"
            " распространённых моделей голов 28, 32, 40 или 64, а KV heads 4 или 8, поэтому берут"
            f" TP=1, 2, 4 или 8; с TP={frame.tp} vLLM не запустится (ошибка о том, что число голов"
            f" не делится). {frame.tp} карты можно занять иначе: PP={frame.tp} (слои по стадиям)"
            f" или {frame.tp} реплики, если копия помещается на одну.",
            f"**Usually not:** the number of heads must divide by TP={frame.tp}; take 1, 2, 4, 8.",
        )
    elif question.has(_LINK) and not question.has_model:
        size = f"TP={frame.tp}" if frame.tp else "TP"
        draft.lead(
            f"**Для {size} NVLink очень желателен, PCIe хватает не всегда.** TP делает два"
            " all-reduce на каждый слой: на decode они малы, и главное там задержка обмена, а на"
            " prefill и большом batch передаются все активации, и PCIe (32–64 ГБ/с против сотен у"
            " NVLink) съедает большую часть выигрыша. Без NVLink берите наименьший TP, при котором"
            " модель помещается, PP вместо широкого TP или реплики, если копия входит в одну"
            " карту.",
            f"**NVLink matters for {size}:** two all-reduces per layer; over PCIe prefer PP or"
            " replicas.",
        )
    if question.models and question.models[0].facts.attention is Attention.MLA:
        draft.lead(
            f"У {question.models[0].title} — MLA: KV cache — один латентный вектор на слой, его"
            " нельзя поделить по головам, и при TP **каждая карта хранит его целиком** (копия)."
            " Это не ошибка. Делят запросы, а не головы: attention через DP"
            " (`--data-parallel-size 8 --enable-expert-parallel`), эксперты через EP; тогда у"
            " каждой карты свой KV cache.",
            "MLA keeps one latent vector per layer, so TP copies the KV cache to every card; use"
            " data-parallel attention with expert parallel.",
        )
    moe = question.models and question.models[0].facts.experts
    if question.has(r"(?<![a-z])ep(?![a-z])|expert|эксперт"):
        if moe:
            facts = question.models[0].facts
            draft.lead(
                f"{question.models[0].title} — MoE: {facts.experts} экспертов, на токен работают"
                f" {facts.experts_per_token}. "
                + (
                    "При таком малом числе экспертов на одном узле обычно хватает TP; EP"
                    " (`--enable-expert-parallel`) окупается при десятках и сотнях экспертов и"
                    " большом batch."
                    if facts.experts <= 16
                    else (
                        "EP (`--enable-expert-parallel`) имеет смысл: эксперты целиком лежат на"
                        " своих GPU, attention — через DP или TP."
                    )
                )
            )
            cite_model(draft, question.models[0])
        _notes.write("expert-parallel", draft)
        return
    if frame.nodes and frame.nodes > 1:
        per = (frame.devices or 8 * frame.nodes) // frame.nodes
        draft.lead(
            f"Берите **TP={per} внутри узла и PP={frame.nodes} между узлами**, а не"
            f" TP={per * frame.nodes}: TP делает all-reduce на каждом слое и живёт только на"
            " NVLink, а межузловая сеть (InfiniBand, Ethernet) в разы медленнее; PP передаёт лишь"
            " активации на границе стадий.",
            f"Take **TP={per} inside a node and PP={frame.nodes} across nodes**.",
        )
        draft.add(
            "Если копия модели помещается в один узел, лучше DP: независимая реплика на каждом узле"
            " за балансировщиком."
        )
    elif (setting is not None and setting.gpu is not None) or (
        setting is not None and (frame.gpu_count or frame.tp)
    ):
        _one_host(question, draft)
    if not question.own.nvlink and frame.nvlink is False:
        draft.add("Без NVLink all-reduce идёт через PCIe.")
    _notes.write("parallel-choice", draft)


def _one_host(question: Question, draft: Draft) -> None:
    setting = resolve(question.frame)
    assert setting is not None
    count = question.frame.devices or max(2, question.frame.tp or 2)
    linked = (
        question.frame.nvlink
        if question.frame.nvlink is not None
        else (setting.gpu.is_nvlinked if setting.gpu else None)
    )
    title = setting.subject.title
    if setting.gpu is not None:
        alone = fewest(setting, setting.concurrency)
        found = room(setting.change(count=count, tp=None, pp=None))
        need = alone[0] if alone else None
        where = devices(draft, setting.gpu, count)
        draft.work(
            f"веса {draft.gib(found.weights_bytes)}; одной копии {title} в {setting.label} нужно"
            f" карт: {need or 'больше 64'}"
        )
        cite_setting(draft, setting)
        assumptions(draft, setting, skip=("выход",))
        if need and need < count:
            draft.lead(
                f"Копия {title} помещается уже на {need} из {count}: для throughput берите"
                f" **реплики (DP={count // need}, независимые экземпляры)**, для наименьшей"
                f" задержки одного запроса — TP={count}"
                + ("." if linked else ", но без NVLink (PCIe) выигрыш TP мал.")
            )
            return
        draft.lead(
            f"На {where} берите **TP={setting.layout.tp}**"
            + (f", PP={setting.layout.pp}" if setting.layout.pp > 1 else "")
            + (
                ": NVLink выдержит all-reduce на каждом слое."
                if linked
                else ": но обмен пойдёт через PCIe, поэтому сравните с PP замером."
            )
        )
        return
    small = setting.facts.parameters < 2.5e10
    if small:
        draft.lead(
            f"{title} помещается на одну современную карту, поэтому **{count} независимых"
            f" экземпляра (реплики, data parallel) лучше, чем TP={count}**: "
            + (
                "без NVLink обмен all-reduce на каждом слое идёт через PCIe и съедает выигрыш."
                if linked is False
                else (
                    "throughput почти удваивается без обмена между картами. TP нужен, только если"
                    " важна задержка одного запроса."
                )
            )
        )
    else:
        draft.lead(
            f"Для {title} на {count} картах "
            + (
                f"с NVLink берите **TP={count}**: задержка ниже, а NVLink выдерживает all-reduce на"
                " каждом слое; PP оставьте для связи между узлами."
                if linked is not False
                else "без NVLink сравните **PP** и TP замером: all-reduce TP через PCIe дорог."
            )
        )
