"""The README's pictures of the dashboard, from a service that runs over real sessions.

    python -m bench.screenshots URL SESSION [--key KEY] [--out docs/images]

Needs Chromium. Nothing is staged: what is on the pictures is what the store holds.
"""

import argparse
import os
import shutil
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

_WIDE, _NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


def _open(page: Page, base: str, path: str) -> None:
    page.goto(base + path, wait_until="networkidle")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("session")
    parser.add_argument("--key", default=os.environ.get("ADVISOR_API_KEY", ""))
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    chosen = parser.parse_args()
    base = chosen.url.rstrip("/")
    chosen.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for name, size in (("wide", _WIDE), ("narrow", _NARROW)):
            page = browser.new_page(viewport=size)  # type: ignore[arg-type]
            if chosen.key:
                _open(page, base, "/login")
                page.fill("input[name=key]", chosen.key)
                page.press("input[name=key]", "Enter")
                page.wait_for_load_state("networkidle")
            for picture, path in (
                ("sessions", "/"),
                ("session", f"/sessions/{chosen.session}"),
                ("new", "/new"),
            ):
                _open(page, base, path)
                file = chosen.out / f"{picture}-{name}.png"
                page.screenshot(path=file, full_page=picture == "session" and name == "wide")
                print(file)
        browser.close()


if __name__ == "__main__":
    main()
