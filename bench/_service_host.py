"""The service under test of bench.service: a real one, with a session that is fed events.

Commands come as lines of JSON on stdin: {"events": N, "per_s": R} publishes through the same path
as a session's process does (a thread, the store, the stream), {"memory": true} answers the RSS.
"""

import json
import struct
import sys
import threading
import time
from pathlib import Path

import psutil

from api.server import Server
from api.service.database import Database
from api.service.keys import Keys
from api.settings import Settings
from tools.store import Store

SESSION = "20260101-000000-bbbb"


def tiny_model(folder: Path) -> Path:
    """A checkpoint in form only: the sessions here are never run."""
    folder.mkdir(parents=True)
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64,
        "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "vocab_size": 256, "max_position_embeddings": 4096,
        "torch_dtype": "float32",
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text("{}")
    header = json.dumps({"w": {"dtype": "F32", "shape": [4, 4], "data_offsets": [0, 64]}}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(64))
    return folder


def main() -> None:
    home = Path(sys.argv[1])
    settings = Settings(
        home=home, port=0, rate_per_minute=10**6, rate_burst=10**6, log_level="warning"
    )
    create_session(settings, tiny_model(home / "tiny"))
    database = Database(settings.folders().data / "service.sqlite")
    key = Keys(database).create("bench", ("run",))
    database.close()
    server = Server(settings)
    threading.Thread(target=command_loop, args=(server, key), daemon=True).start()
    server.run()


def create_session(settings: Settings, model: Path) -> None:
    from knowledge.presets import preset
    from knowledge.types import Budget, Task
    from tools.hardware import inspect
    from tools.models import look_at

    home = settings.folders()
    task = Task(
        model=look_at(model, "tiny"), hardware=inspect(home), workload=preset("demo"),
        engine="sim", budget=Budget(seconds=60),
    )  # fmt: skip
    with Store.open(home.store, "bench") as store:
        store.create_session(SESSION, task, {})


def command_loop(server: Server, key: str) -> None:
    while not server.announced:
        time.sleep(0.05)
    service = server.app.state.service
    service.events.begin(SESSION)
    say({"url": server.address, "key": key, "session": SESSION})
    for line in sys.stdin:
        order = json.loads(line)
        if "events" in order:
            say(publish(service, order["events"], order["per_s"]))
        elif "memory" in order:
            say({"rss": psutil.Process().memory_info().rss})
        elif "end" in order:
            service._loop.call_soon_threadsafe(service.events.end, SESSION)
    server.should_exit = True


def publish(service: object, count: int, per_s: float) -> dict[str, float]:
    """On absolute deadlines; the moment of sending goes along, before the event is stored."""
    begun = time.monotonic()
    for number in range(count):
        wait = begun + number / per_s - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        payload = {"text": f"замер t{number % 40:02d} идёт", "sent": time.monotonic()}
        service.lanes.append(SESSION, "progress", payload)  # type: ignore[attr-defined]
    return {"took_s": time.monotonic() - begun}


def say(value: object) -> None:
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    main()
