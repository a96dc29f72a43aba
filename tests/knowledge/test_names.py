import pytest

from knowledge.names import Names, name_key

NAMES = Names(
    [
        ("h100-sxm", ("H100", "H100 80GB"), 9, "sxm"),
        ("h100-pcie", ("H100",), 2, "pcie"),
        ("a100", ("A100-80",), 1, "a100"),
        ("a10", (), 0, "a10"),
        ("l40s", ("L40S",), 0, "l40s"),
        ("mistral-7b", ("mistral", "7b"), 5, "mistral"),
        ("qwen2.5-7b", ("7b",), 3, "qwen7"),
        ("qwen2.5-72b", (), 3, "qwen72"),
        ("mixtral-8x7b", (), 3, "mixtral"),
        ("small-1.5b", ("1.5b",), 0, "small"),
        ("coder-15b", ("15b",), 0, "coder"),
    ]
)


@pytest.mark.parametrize(
    ("text", "thing"),
    [
        ("H100", "sxm"),
        ("nvidia  h100", "sxm"),
        ("Н100", "sxm"),  # a Cyrillic Н
        ("эйч100", "sxm"),
        ("h100-pcie", "pcie"),
        ("А100-80", "a100"),
        ("л40с", "l40s"),
        ("мистраль 7б", "mistral"),
        ("Мистраля", "mistral"),
        ("квен 2.5 72b", "qwen72"),
        ("Qwen2.5-72B", "qwen72"),
        ("7 млрд", "mistral"),
        ("1.5b", "small"),
        ("1,5 млрд", "small"),
        ("15b", "coder"),
        ("qwen25-72b", "qwen72"),
    ],
)
def test_names_are_found_however_they_are_written(text, thing):
    assert NAMES.find(text).found == thing


def test_a_shared_name_means_the_usual_one_and_tells_the_others():
    match = NAMES.find("h100")
    assert (match.found, match.others, match.how) == ("sxm", ("h100-pcie",), "exact")


def test_a_typo_is_forgiven_in_letters_only():
    assert NAMES.find("mistrl-7b").found == "mistral"
    assert NAMES.find("mistrl-7b").how == "typo"
    for unknown in ("h1000", "a1000", "qwen2.5-71b", "l41s", "17b"):
        assert NAMES.find(unknown).found is None


def test_what_is_not_known_gets_the_nearest():
    match = NAMES.find("h110")
    assert match.found is None
    assert "h100-sxm" in match.near


def test_an_empty_name_is_nothing():
    assert NAMES.find("").found is None
    assert NAMES.find("—").found is None


@pytest.mark.parametrize(
    ("sentence", "things"),
    [
        ("влезет ли Qwen2.5-72B на две A100-80?", ["qwen72", "a100"]),
        ("2xA100-80 или 8×H100 80GB", ["a100", "sxm"]),
        ("Mixtral 8x7B на H100", ["mixtral", "sxm"]),
        ("сколько запросов выдержит мистраль на л40с", ["mistral", "l40s"]),
        ("привет, как дела", []),
        ("100 запросов по 10 токенов за 7 секунд", []),
    ],
)
def test_names_within_a_sentence(sentence, things):
    mentions = NAMES.mentions(sentence)
    assert [mention.match.found for mention in mentions] == things
    for mention in mentions:
        assert sentence[mention.start : mention.end] == mention.match.text


def test_keys_leave_vendors_and_punctuation_out():
    assert name_key("NVIDIA GeForce RTX 4090") == name_key("rtx-4090") == "rtx4090"
