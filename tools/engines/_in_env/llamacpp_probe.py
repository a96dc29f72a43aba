"""Prints what the installed llama.cpp accepts. A job script: {"result": …} on stdout."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # jobs run with -P
import xllamacpp
from llamacpp_options import build_parser
from parser_rows import describe

if __name__ == "__main__":
    answer = {"version": xllamacpp.__version__, "flags": describe(build_parser(xllamacpp))}
    print(json.dumps({"result": answer}), flush=True)
