"""A tiny tokenizer of our own making, and workloads small enough for tests."""

from collections.abc import Callable

import pytest
from tokenizers import Tokenizer as RawTokenizer
from tokenizers import decoders, models, pre_tokenizers, processors, trainers

from knowledge.types import ClosedLoop, Lengths, Workload
from tools.load.corpus import HELDOUT_PART, load_text
from tools.load.tokenizer import Tokenizer


@pytest.fixture(scope="session")
def raw_json() -> str:
    raw = RawTokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=1200, special_tokens=["<s>"], initial_alphabet=alphabet, show_progress=False
    )
    raw.train_from_iterator([load_text(HELDOUT_PART)[:60_000]], trainer)
    return str(raw.to_str())


@pytest.fixture(scope="session")
def tokenizer(raw_json: str) -> Tokenizer:
    return Tokenizer(RawTokenizer.from_str(raw_json))


@pytest.fixture(scope="session")
def bos_tokenizer(raw_json: str) -> Tokenizer:
    """Puts one special token before every text, as Llama's does."""
    raw = RawTokenizer.from_str(raw_json)
    raw.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", raw.token_to_id("<s>"))]
    )
    return Tokenizer(raw)


@pytest.fixture
def workload() -> Callable[..., Workload]:
    def make(**changes: object) -> Workload:
        fields: dict[str, object] = {
            "name": "test",
            "arrival": ClosedLoop(concurrency=2),
            "input_tokens": Lengths(low=10, high=20),
            "output_tokens": Lengths(low=6, high=6),
        }
        return Workload.model_validate(fields | changes)

    return make
