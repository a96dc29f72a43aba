import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

from bench.shapes.__main__ import complete, cut
from tools.models import look_at

WORDS = {"a": 0, "b": 1, "c": 2, "ab": 3, "abc": 4, "ca": 5}
MERGES = [("a", "b"), ("ab", "c"), ("c", "a")]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    tokenizer = Tokenizer(BPE(WORDS, MERGES))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": {"0": {}}}))
    return folder


def test_no_token_lies_outside_the_vocabulary_of_the_shape(source: Path) -> None:
    whole = json.loads((source / "tokenizer.json").read_text())
    assert Tokenizer.from_str(json.dumps(whole)).encode("abcca").ids == [4, 5]
    small = Tokenizer.from_str(json.dumps(cut(whole, 4)))
    assert small.encode("abcca").ids == [3, 2, 2, 0]
    assert small.get_vocab_size() == 4


def test_a_completed_shape_can_be_looked_at(source: Path, tmp_path: Path) -> None:
    config = Path(__file__).parents[2] / "bench" / "shapes" / "mistral-7b-v0.3" / "config.json"
    complete(config, source, tmp_path / "shape")
    spec = look_at(tmp_path / "shape", "shape", dummy_weights=True)
    assert spec.facts.parameters == 7_248_023_552, "as the model's card says"
