"""The report as HTML. Raw HTML in it stays text, and links lead to http or into this site only."""

import re

from markdown_it import MarkdownIt
from markupsafe import Markup

_PICTURE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\.(?:png|svg)")


def render(text: str, pictures: str) -> Markup:
    """`pictures`: the address under which this report's pictures are served."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(text)
    for token in tokens:
        for child in token.children or ():
            if child.type == "image":
                name = str(child.attrGet("src") or "").rsplit("/", 1)[-1]
                child.attrSet("src", f"{pictures}/{name}" if _PICTURE.fullmatch(name) else "")
                child.attrSet("loading", "lazy")
        if token.type in ("heading_open", "heading_close"):  # the page has its own h1
            token.tag = f"h{min(6, int(token.tag[1]) + 1)}"
    html = parser.renderer.render(tokens, parser.options, {})
    # Wide tables scroll by themselves, reachable from the keyboard.
    html = html.replace("<table>", '<div class="scroll" tabindex="0"><table>')
    html = html.replace("</table>", "</table></div>")
    return Markup(html.replace("<pre>", '<pre tabindex="0">'))  # noqa: S704 - escaped by the parser
