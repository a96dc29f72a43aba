"""Options of the ONNX Runtime server. Standard library only: the adapter reads them too."""

import argparse


def build_parser() -> argparse.ArgumentParser:
    """What may follow the script's name."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--model", required=True, help="Folder with genai_config.json")
    parser.add_argument("--served-model-name", required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument(
        "--parallel", type=int, default=4, help="Requests generated at once, a thread for each"
    )
    parser.add_argument(
        "--intra-op-num-threads", type=int, help="Threads of one operator; default: all cores"
    )
    parser.add_argument("--inter-op-num-threads", type=int, help="Operators that run at once")
    parser.add_argument(
        "--graph-optimization-level",
        choices=["disabled", "basic", "extended", "all"],
        default="all",
        help="Fusions of operators when the graph is loaded",
    )
    return parser
