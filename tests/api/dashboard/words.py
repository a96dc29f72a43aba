"""Every Russian text that a page translates, gathered from templates and code."""

import re
from pathlib import Path

import api.dashboard as package
from api.dashboard import language, session_page

ROOT = Path(package.__file__).parent
_TEMPLATE = re.compile(r"""\bt\(\s*(["'])(.+?)\1\s*[,)]""")
_LISTED = re.compile(r'\("(?:/[a-z]*|[ab])", (?:[ab], )?"([^"]+)"\)')
_MACRO = re.compile(r'\{\{ (?:text|choice)\("[a-z_]+", "([^"]+)"(?:, "([^"]*)")?')


def texts() -> set[str]:
    found: set[str] = set(language.SPOKEN) | set(session_page.SPOKEN)
    for path in (ROOT / "templates").glob("*.html"):
        source = path.read_text(encoding="utf-8")
        found |= {text for _, text in _TEMPLATE.findall(source)}
        found |= set(_LISTED.findall(source))
        found |= {"Первая", "Вторая"} if path.name == "compare.html" else set()
        found |= {text for pair in _MACRO.findall(source) for text in pair if text}
    for path in ROOT.rglob("*.py"):
        found |= {text for _, text in _TEMPLATE.findall(path.read_text(encoding="utf-8"))}
    return found


if __name__ == "__main__":
    for text in sorted(
        texts() - set(language.english() if (ROOT / "english.yaml").exists() else ())
    ):
        print(text)
