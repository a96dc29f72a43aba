"""`python -m bench.shapes TOKENIZER FOLDER [NAME…]`: complete the shapes with a tokenizer.

NAME is an architecture of the catalog (qwen3-14b): a shape is made of its config too.

Speed depends on the shape of a model, not on its words, so any byte-level BPE tokenizer will do
once it is cut to the vocabulary of the shape: tokens above it, and merges that make them, go.
"""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import yaml

_HERE = Path(__file__).parent
_CATALOG = _HERE.parents[1] / "knowledge" / "architectures"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tokenizer", type=Path, help="Folder of a model with tokenizer.json")
    parser.add_argument("out", type=Path, help="Where the folders of the shapes are written")
    parser.add_argument("name", nargs="*", help="Architectures of the catalog")
    chosen = parser.parse_args()
    for name in chosen.name:
        facts = yaml.safe_load((_CATALOG / f"{name}.yaml").read_text(encoding="utf-8"))
        folder = chosen.out / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(facts["config"], indent=1) + "\n")
        complete(folder / "config.json", chosen.tokenizer, folder)
        print(folder)
    for config in sorted(_HERE.glob("*/config.json")):
        complete(config, chosen.tokenizer, chosen.out / config.parent.name)
        print(chosen.out / config.parent.name)


def complete(config: Path, source: Path, out: Path) -> None:
    """A folder that an engine can serve with random weights."""
    out.mkdir(parents=True, exist_ok=True)
    if config.parent != out:
        shutil.copy(config, out / "config.json")
    size = json.loads(config.read_text())["vocab_size"]
    raw = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
    (out / "tokenizer.json").write_text(json.dumps(cut(raw, size)), encoding="utf-8")
    settings = json.loads((source / "tokenizer_config.json").read_text(encoding="utf-8"))
    settings.pop("added_tokens_decoder", None)
    (out / "tokenizer_config.json").write_text(json.dumps(settings, indent=1), encoding="utf-8")


def cut(tokenizer: dict[str, Any], size: int) -> dict[str, Any]:
    """The first `size` tokens. Merges come in the order in which they made their tokens."""
    model = tokenizer["model"]
    if model["type"] != "BPE":
        raise SystemExit(f"{model['type']}: only BPE can be cut to a smaller vocabulary")
    vocabulary = {token: number for token, number in model["vocab"].items() if number < size}
    merges = [merge for merge in model["merges"] if _pair(merge).replace(" ", "") in vocabulary]
    added = [one for one in tokenizer.get("added_tokens", []) if one["id"] < size]
    return {**tokenizer, "model": {**model, "vocab": vocabulary, "merges": merges}} | {
        "added_tokens": added
    }


def _pair(merge: str | list[str]) -> str:
    return merge if isinstance(merge, str) else " ".join(merge)


if __name__ == "__main__":
    main()
