"""Triton Inference Server out of nvidia-pytriton, with a model repository made for one checkpoint.

The repository lies in a temporary folder and goes with the server: config.pbtxt, the Python back
end's model.py, and the back end with the stub of this Python.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from importlib.metadata import version
from pathlib import Path
from types import FrameType

sys.path.insert(0, str(Path(__file__).parent))
import pytriton
import torch
from triton_options import build_parser, config_pbtxt

_HOME = Path(pytriton.__file__).parent / "tritonserver"
_LIBRARIES = Path(pytriton.__file__).parent.parent / "nvidia_pytriton.libs"
_MODEL = Path(__file__).with_name("triton_model.py")
_GRACE_S = 5


def main() -> int:
    """Serve until killed."""
    options = build_parser().parse_args()
    work = Path(tempfile.mkdtemp(prefix="advisor-triton-"))
    try:
        repository, backends = _repository(work, options), _backends(work)
        settings = {
            "max-batch-size": options.max_batch_size,
            "max-queue-delay-microseconds": options.max_queue_delay_microseconds,
            "dynamic-batching": options.dynamic_batching,
            "instance-count": options.instance_count,
            "nvidia-pytriton": version("nvidia-pytriton"),
        }
        print("settings:", json.dumps(settings), flush=True)
        return _serve(options, repository, backends)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _repository(work: Path, options: argparse.Namespace) -> Path:
    folder = work / "models" / options.served_model_name
    (folder / "1").mkdir(parents=True)
    text = config_pbtxt(options, cuda=torch.cuda.is_available())
    (folder / "config.pbtxt").write_text(text, encoding="utf-8")
    shutil.copy(_MODEL, folder / "1" / "model.py")
    return work / "models"


def _backends(work: Path) -> Path:
    """The Python back end beside the stub of the running Python, as the back end looks for it."""
    target = work / "backends" / "python"
    shutil.copytree(_HOME / "backends" / "python", target)
    stubs = _HOME / "python_backend_stubs" / f"{sys.version_info.major}.{sys.version_info.minor}"
    Path(shutil.copy(stubs / "triton_python_backend_stub", target)).chmod(0o700)
    return work / "backends"


def _serve(options: argparse.Namespace, repository: Path, backends: Path) -> int:
    program = _HOME / "bin" / "tritonserver"
    program.chmod(0o700)  # pip keeps no executable bit
    command = [
        str(program),
        f"--model-repository={repository}",
        f"--backend-directory={backends}",
        f"--http-address={options.host}",
        f"--http-port={options.port}",
        "--allow-grpc=false",
        "--allow-metrics=false",
        f"--exit-timeout-secs={_GRACE_S}",
    ]
    environment = dict(os.environ)
    before = environment.get("LD_LIBRARY_PATH")
    # The stub embeds Python: the library of this very one, or its modules do not load.
    folders = [sysconfig.get_config_var("LIBDIR") or "", before or "", str(_LIBRARIES)]
    environment["LD_LIBRARY_PATH"] = ":".join(filter(None, folders))
    # It finds the packages, and with them torch, by the first python on PATH.
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment.get('PATH', '')}"
    process = subprocess.Popen(command, env=environment)

    def pass_on(number: int, _: FrameType | None) -> None:
        process.send_signal(number)

    signal.signal(signal.SIGTERM, pass_on)
    signal.signal(signal.SIGINT, pass_on)
    return process.wait()


if __name__ == "__main__":
    sys.exit(main())
