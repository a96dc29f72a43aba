"""What a question says, in the words and with the typos of users."""

import pytest

from advisor.consultation import Message, Services
from advisor.consultation.conversation import understand
from advisor.consultation.understanding.frame import Money
from advisor.consultation.understanding.reading import read
from advisor.consultation.understanding.text import normalize
from tests.consultation.exam import TODAY


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("llama 70b на двух А100-80", {"gpus": ("a100-sxm-80gb",), "devices": 2}),
        ("8xH100", {"gpus": ("h100-sxm",), "devices": 8}),
        ("на 4090", {"gpus": ("rtx-4090",)}),
        ("4090 токенов контекста", {"gpus": (), "context_tokens": 4090}),
        ("A100 на 40 ГБ", {"gpus": ("a100-sxm-40gb",)}),
        ("на 8 картах", {"gpu_count": 8}),
        ("контекст 32к", {"context_tokens": 32768}),
        ("100 пользователей", {"concurrency": 100}),
        ("TTFT 200 мс", {"ttft_ms": 200}),
        ("ttft до полсекунды", {"ttft_ms": 500}),
        ("tpot 30", {"tpot_ms": 30}),
        ("$2/час", {"gpu_hour": Money(value=2)}),
        ("180 руб/час", {"gpu_hour": Money(value=180, currency="₽")}),
        ("миллион токенов в сутки", {"tokens_per_day": 1e6}),
        ("500 млн токенов в месяц", {"tokens_per_day": 5e8 / 30}),
        ("в 4 бита", {"weights": "int4"}),
        ("kv в fp8, веса в int4", {"kv": "fp8", "weights": "int4"}),
        ("1024/256", {"input_tokens": 1024, "output_tokens": 256}),
        ("TP=3", {"tp": 3}),
        ("без NVLink", {"nvlink": False}),
        ("1 000 токенов на выходе", {"output_tokens": 1000}),
        ("rps 20", {"requests_per_s": 20}),
        ("2 реплики по одной карте", {"gpu_count": None}),
        ("300 операторов пишут раз в минуту", {"requests_per_s": 5.0, "concurrency": None}),
        ("H100 PCIe или SXM", {"gpus": ("h100-pcie", "h100-sxm")}),
        ("1 млн токенов контекста", {"tokens_total": None, "context_tokens": 1_000_000}),
        (
            "2 млн документов по 1000 токенов за ночь, выход 100",
            {"documents": 2e6, "input_tokens": 1000, "output_tokens": 100, "hours": 8},
        ),
        (
            "бюджет 300к рублей на железо",
            {"purchase": Money(value=300_000, currency="₽"), "gpu_hour": None},
        ),
    ],
)
def test_values_are_read(text: str, expected: dict[str, object]) -> None:
    frame = read(text)
    assert {name: getattr(frame, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("text", "model"),
    [
        ("лама 70b", "llama-3.3-70b"),
        ("мистраль 7б", "mistral-7b"),
        ("квен2.5 32b", "qwen2.5-32b"),
        ("Llama-3.1-8B", "llama-3.1-8b"),
    ],
)
def test_models_by_their_russian_names(text: str, model: str) -> None:
    assert read(f"влезет ли {text} на H100?").models == (model,)


def test_a_size_that_no_member_of_a_family_has_is_unknown() -> None:
    frame = read("Qwen2.5-33B на A100")
    assert not frame.models
    assert frame.unknown[0].near[0] == "Qwen2.5-32B"


def test_tokens_are_no_model() -> None:
    assert read("1 млрд токенов в месяц").models == ()


def test_follow_up_inherits_and_a_new_model_replaces() -> None:
    services = Services(today=TODAY)
    history = [
        Message(role="user", content="Llama-3.1-70B в bf16 на двух H100, контекст 8к"),
        Message(role="assistant", content="…"),
    ]
    asked = understand([*history, Message(role="user", content="а если INT4?")], services)
    assert asked.frame.weights == "int4"
    assert (asked.frame.models, asked.frame.devices, asked.frame.context_tokens) == (
        ("llama-3.1-70b",),
        2,
        8192,
    )
    other = understand([*history, Message(role="user", content="а Qwen2.5-7B?")], services)
    assert other.frame.models == ("qwen2.5-7b",)


def test_a_measured_speed_does_not_outlive_its_device() -> None:
    history = [Message(role="user", content="Llama-3.1-8B на L4 даёт 400 ток/с")]
    asked = understand(
        [*history, Message(role="user", content="а на H100?")], Services(today=TODAY)
    )
    assert asked.frame.tokens_per_s is None


@pytest.mark.parametrize(
    ("before", "asked", "expected"),
    [
        ("Qwen3-32B в fp8 на H100, 8к: сколько запросов?", "а если на двух?", {"devices": 2}),
        ("TTFT у llama 8b на L40S, вход 4000?", "а при 16000?", {"input_tokens": 16000}),
        ("llama 8b на L4, 10 юзеров, 8к", "а если 20?", {"concurrency": 20}),
        ("llama 8b на L4, 10 юзеров, контекст 8к", "а если 32к?", {"context_tokens": 32768}),
    ],
)
def test_a_bare_number_takes_the_place_of_the_one_before(
    before: str, asked: str, expected: dict[str, object]
) -> None:
    said = [Message(role="user", content=before), Message(role="user", content=asked)]
    frame = understand(said, Services(today=TODAY)).frame
    assert {name: getattr(frame, name) for name in expected} == expected


def test_a_scrap_goes_on_with_what_was_talked_about() -> None:
    said = [
        Message(role="user", content="Стоит ли хранить kv cache в fp8?"),
        Message(role="user", content="а int4?"),
    ]
    assert "kv cache" in understand(said, Services(today=TODAY)).text


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("h100 хватит?", "h100 хватит?"),
        ("8хH100", "8 x h100"),
        ("2 xeon", "2 xeon"),
        ("kak uskorit pervyi token", "как ускорить первый токен"),
    ],
)
def test_a_letter_is_no_sign_of_multiplication(text: str, plain: str) -> None:
    assert normalize(text) == plain


def test_normalize_evens_words_and_signs() -> None:
    assert normalize("ДВЕ  карты\u00a0по «10 000» токенов") == "2 карты по 10000 токенов"
