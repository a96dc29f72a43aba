"""A tokenizer with one token per byte: lengths can be counted by eye."""

import pytest
from tokenizers import Tokenizer as RawTokenizer
from tokenizers import decoders, models, pre_tokenizers, processors

from tools.load.tokenizer import Tokenizer

BOS = 256


def _bytes() -> RawTokenizer:
    vocab = {char: i for i, char in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    raw = RawTokenizer(models.BPE(vocab=vocab, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    return raw


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return Tokenizer(_bytes())


@pytest.fixture(scope="session")
def bos_tokenizer() -> Tokenizer:
    raw = _bytes()
    raw.add_special_tokens(["<s>"])
    raw.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", BOS)]
    )
    return Tokenizer(raw)
