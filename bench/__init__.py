"""The project's own claims: `python -m bench.NAME` measures; `--json FILE` keeps."""
