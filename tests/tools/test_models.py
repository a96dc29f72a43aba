import json
import struct
from pathlib import Path

import pytest

from knowledge.errors import BadModel
from tools.home import Home
from tools.models import look_at, resolve

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 512,
    "max_position_embeddings": 256,
    "tie_word_embeddings": True,
    "dtype": "float32",
}


def weights(file: Path, data: bytes = bytes(200_000)) -> Path:
    tensors = {
        "__metadata__": {"format": "pt"},
        "w": {"dtype": "U8", "shape": [len(data)], "data_offsets": [0, len(data)]},
    }
    header = json.dumps(tensors).encode()
    file.write_bytes(struct.pack("<Q", len(header)) + header + data)
    return file


def model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "tokenizer.json").write_text("{}")
    weights(folder / "model.safetensors")
    return folder


async def find(name: str | Path, root: Path) -> object:
    home = Home(data=root / "data", cache=root / "cache")
    environ = {"HF_HOME": str(root / "hf"), "HOME": str(root)}
    return await resolve(str(name), home, lambda _: None, environ=environ)


async def test_a_folder_is_looked_at(tmp_path: Path) -> None:
    folder = model(tmp_path / "tiny")
    spec = look_at(folder, "tiny")
    assert await find(folder, tmp_path) == spec
    assert spec.path == str(folder)
    assert spec.weights_bytes == 200_000
    assert spec.facts.layers == 2


def test_the_fingerprint_is_of_the_content(tmp_path: Path) -> None:
    first, second = (look_at(model(tmp_path / name), name) for name in ("a", "b"))
    assert first.fingerprint == second.fingerprint

    changed = model(tmp_path / "c")
    weights(changed / "model.safetensors", bytes(199_999) + b"\x01")
    assert look_at(changed, "c").fingerprint != first.fingerprint
    retokenized = model(tmp_path / "d")
    (retokenized / "tokenizer.json").write_text('{"x": 1}')
    assert look_at(retokenized, "d").fingerprint != first.fingerprint


@pytest.mark.parametrize("size", [0, 4, 30, 1000, 199_999])
def test_a_truncated_file_is_named(tmp_path: Path, size: int) -> None:
    folder = model(tmp_path / "m")
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(BadModel, match=r"model\.safetensors повреждён"):
        look_at(folder, "m")


@pytest.mark.parametrize(
    "damage",
    [
        b"<!DOCTYPE html><html>not found</html>",
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 4) + b'{"a"',
        struct.pack("<Q", 8) + b'{"a": 1}',
    ],
)
def test_a_file_that_is_no_safetensors_is_named(tmp_path: Path, damage: bytes) -> None:
    folder = model(tmp_path / "m")
    (folder / "model.safetensors").write_bytes(damage)
    with pytest.raises(BadModel, match=r"model\.safetensors повреждён"):
        look_at(folder, "m")


def test_every_shard_of_the_index_must_be_there(tmp_path: Path) -> None:
    folder = model(tmp_path / "m")
    (folder / "model.safetensors").rename(folder / "model-1-of-2.safetensors")
    shards = {"w": "model-1-of-2.safetensors", "v": "model-2-of-2.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    with pytest.raises(BadModel, match=r"нет файла model-2-of-2\.safetensors"):
        look_at(folder, "m")
    weights(folder / "model-2-of-2.safetensors")
    assert look_at(folder, "m").weights_bytes == 400_000


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_a_folder_without_its_description_is_no_model(tmp_path: Path, name: str) -> None:
    folder = model(tmp_path / "m")
    (folder / name).unlink()
    with pytest.raises(BadModel, match=f"не модель: в ней нет {name}"):
        look_at(folder, "m")


@pytest.mark.parametrize("text", ["{", "[]", "\udcff"])
def test_a_config_that_is_no_object_is_named(tmp_path: Path, text: str) -> None:
    folder = model(tmp_path / "m")
    (folder / "config.json").write_text(text, errors="surrogateescape")
    with pytest.raises(BadModel, match=r"config\.json — не"):
        look_at(folder, "m")


def test_pickled_weights_are_not_loaded(tmp_path: Path) -> None:
    folder = model(tmp_path / "m")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(BadModel, match=r"есть pytorch_model\.bin") as failure:
        look_at(folder, "m")
    assert "save_pretrained" in failure.value.hint


async def test_a_hub_id_is_found_only_where_it_was_downloaded(tmp_path: Path) -> None:
    with pytest.raises(BadModel, match="org/tiny нет на этой машине") as failure:
        await find("org/tiny", tmp_path)
    assert "hf download org/tiny" in failure.value.hint

    repository = tmp_path / "hf" / "hub" / "models--org--tiny"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    model(repository / "snapshots" / "abc")
    spec = await find("org/tiny", tmp_path)
    assert "name='org/tiny'" in repr(spec)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("dmeo", r"dmeo нет.*Может быть, demo\?"),
        ("{root}/tinny", r"Может быть, tiny\?"),
        ("{root}/no/such/folder", "Укажите папку модели"),
        ("{root}/file.txt", "файл, а не папка"),
        ("{root}/none.gguf", "Проверьте путь"),
        ("{root}/fake.gguf", "не GGUF"),
    ],
)
async def test_what_is_no_model_is_refused_with_a_way_out(
    tmp_path: Path, name: str, says: str
) -> None:
    model(tmp_path / "tiny")
    (tmp_path / "file.txt").touch()
    (tmp_path / "fake.gguf").write_text("hello")
    with pytest.raises(BadModel, match=says):
        await find(name.format(root=tmp_path), tmp_path)


async def test_a_shape_needs_no_weights(tmp_path: Path) -> None:
    folder = model(tmp_path / "shape")
    (folder / "model.safetensors").unlink()
    with pytest.raises(BadModel, match="--dummy-weights"):
        look_at(folder, "shape")
    shape = look_at(folder, "shape", dummy_weights=True)
    assert shape.dummy_weights
    assert shape.weights_bytes == 4 * shape.facts.parameters, "float32"
    real = look_at(model(tmp_path / "real"), "shape")
    assert shape.fingerprint != real.fingerprint, "a shape is not the model"
