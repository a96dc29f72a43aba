"""llama.cpp's own HTTP server, out of the package xllamacpp, with the options of llama-server."""

import json
import signal
import sys
import urllib.request
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import xllamacpp
from llamacpp_options import apply, build_parser, settings_of


def main() -> None:
    """Serve until killed."""
    params = apply(build_parser(xllamacpp).parse_args(), xllamacpp)
    server = xllamacpp.Server(params)  # returns once the model is loaded and the port listens
    seen = settings_of(params, xllamacpp) | _of_the_server(server.listening_address)
    print("settings:", json.dumps(seen), flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


def _of_the_server(address: str) -> dict[str, object]:
    """What the running server itself says."""
    with urllib.request.urlopen(f"{address}/props", timeout=30) as answer:  # noqa: S310 - loopback
        props: dict[str, Any] = json.load(answer)
    return {"parallel": props["total_slots"], "model-ftype": props.get("model_ftype", "")}


if __name__ == "__main__":
    main()
