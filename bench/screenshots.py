"""The README's pictures of the dashboard, from a service that runs over real sessions.

    python -m bench.screenshots URL SESSION [--key KEY] [--out docs/images]

Needs Chromium. Nothing is staged: what is on the pictures is what the store holds.
"""

import argparse
import os
import shutil
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

_PICTURES = (
    ("wide", (1440, 900), ("session",)),
    ("narrow", (390, 844), ("sessions", "session")),
)


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
        for name, size, pictures in _PICTURES:
            page = browser.new_page(viewport={"width": size[0], "height": size[1]})
            if chosen.key:
                _open(page, base, "/login")
                page.fill("input[name=key]", chosen.key)
                page.press("input[name=key]", "Enter")
                page.wait_for_load_state("networkidle")
            for picture in pictures:
                _open(page, base, "/" if picture == "sessions" else f"/sessions/{chosen.session}")
                file = chosen.out / f"{picture}-{name}.png"
                page.screenshot(path=file, full_page=name == "wide")
                print(file)
        browser.close()


if __name__ == "__main__":
    main()
