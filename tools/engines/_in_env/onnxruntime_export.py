"""A checkpoint to ONNX by onnxruntime-genai's own model builder. A job script."""

import json
import runpy
import sys
from pathlib import Path

import onnxruntime_genai

if __name__ == "__main__":
    job = json.load(sys.stdin)
    builders = Path(onnxruntime_genai.__file__).parent / "models"
    sys.path.insert(0, str(builders))
    sys.argv = ["builder.py", "-i", job["source"], "-o", job["target"], "-p", job["precision"]]
    sys.argv += ["-e", job["provider"], "-c", job["cache"]]
    sys.stdout = sys.stderr
    runpy.run_path(str(builders / "builder.py"), run_name="__main__")
    sys.stdout = sys.__stdout__
    made = Path(job["target"])
    size = sum(file.stat().st_size for file in made.rglob("*") if file.is_file())
    print(json.dumps({"result": {"bytes": size}}), flush=True)
