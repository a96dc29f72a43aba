"""Writes golden.md anew: python -m tests.advisor.report.golden."""

import tempfile
from pathlib import Path

from advisor.report import write_report
from tests.advisor.report import examples as ex

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        report = write_report(ex.RECORD, ex.samples, Path(folder))
        Path(__file__).with_name("golden.md").write_text(
            report.read_text(encoding="utf-8"), encoding="utf-8"
        )
