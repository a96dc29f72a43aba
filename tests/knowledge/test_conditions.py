import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.conditions import evaluate, evaluate_value, parse, render

FACTS = {
    "engine": "vllm",
    "flags": {"dtype": "bfloat16", "enforce_eager": True},
    "env": {},
    "isa": ("avx512_bf16", "amx_bf16"),
    "model": {"parameters": 8e9, "quantization": None, "facts": {"layers": 32}},
    "hardware": {"cores": 8},
    "profile": {"bottleneck": "memory-bandwidth"},
    "engine_flags": {"dtype", "max-num-seqs"},
}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("True", True),
        ('engine == "vllm" and model.parameters > 1e9', True),
        ('"avx512_bf16" in isa', True),
        ('"max-num-seqs" in engine_flags and "nope" not in engine_flags', True),
        ("flags.max_num_seqs is None", True),
        ("flags.dtype is not None", True),
        ("env.VLLM_CPU_KVCACHE_SPACE is None", True),
        ("model.quantization is None", True),
        ("1 < hardware.cores <= 8", True),
        ("hardware.cores - 1 == 7 and -hardware.cores < 0", True),
        ("not flags.enforce_eager", False),
        ('profile.bottleneck in ("compute", "scheduler")', False),
        ("model.facts.layers % 2 == 0", True),
        ('(engine == "sglang"\n or hardware.cores == 8)', True),
        ("flags.max_num_seqs is not None and flags.max_num_seqs > 5", False),
        ('engine == "vllm"\nand hardware.cores == 8', True),
    ],
)
def test_conditions(expression, expected):
    assert evaluate(expression, FACTS) is expected


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("__import__('os')", "Call is not allowed at 1"),
        ("model.__class__", "unknown name model.__class__"),
        ("(1).real", "no fields"),
        ("[x for x in isa]", "ListComp is not allowed"),
        ("lambda: 1", "Lambda is not allowed"),
        ("isa[0]", "Subscript is not allowed"),
        ("2 ** 99999", "Pow is not allowed"),
        ('f"{engine}"', "is not allowed"),
        ("max(1, key=len)", "is not allowed"),
        ("engine = 1", "at"),
        ("hardware.cores >", "at"),
        ("", "at"),
        ('"a" * 1000000000', "arithmetic needs numbers"),
        ("modle.parameters > 1", "unknown name modle at 1"),
        ("1 < model.paramters", "unknown name model.paramters at 5"),
        ("flags.max_num_seqs > 5", "not supported between"),
        ("hardware.cores / 0", "division by zero"),
        ("1 < " * 500 + "2", "longer"),
    ],
)
def test_what_is_refused_says_why_and_where(expression, reason):
    with pytest.raises(ValueError, match=reason.replace("(", r"\(")):
        evaluate(expression, FACTS)


def test_what_cannot_be_allowed_is_refused_before_there_are_facts():
    with pytest.raises(ValueError, match="not allowed"):
        parse("False and open('x')")


def test_templates_keep_their_type_when_they_are_one_expression():
    assert render("${hardware.cores - 1}", FACTS) == 7
    assert render("0-${hardware.cores - 1}", FACTS) == "0-7"
    assert render("${flags.max_num_seqs}", FACTS) is None
    assert render("plain {json}", FACTS) == "plain {json}"
    assert render(3, FACTS) == 3
    assert render("${min(max(hardware.cores, 16), 64) if True else 1}", FACTS) == 16


@given(a=st.integers(-1000, 1000), b=st.integers(-1000, 1000), c=st.integers(1, 100))
def test_arithmetic_is_pythons(a, b, c):
    facts = {"a": a, "b": b, "c": c}
    assert evaluate_value("a + b * c - a // c", facts) == a + b * c - a // c
    assert evaluate_value("a if a > b else b", facts) == max(a, b)
    assert evaluate("a < b or a >= b", facts)
