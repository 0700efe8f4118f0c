"""The help that comes inside the extension: README's part for users and docs/troubleshooting.md as one HTML page.

build_zip.py puts it into the zip, so that it always fits the version; *Help* in Blender opens it at a heading.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from environment import ROOT

PLACE = "assets/help/help.html"  # in the zip; mocap_addon/help.py opens it
FROM, UNTIL = "## Install it in Blender", "## Troubleshooting"
STYLE = """
body { max-width: 46em; margin: 2em auto; padding: 0 1em; font: 16px/1.5 sans-serif; color: #222; background: #fff }
h2 { margin-top: 2em; border-bottom: 1px solid #bbb }
code, pre { background: #eee; padding: .1em .3em }
pre { padding: .6em; overflow-x: auto }
:target { background: #ffe9a8 }
@media (prefers-color-scheme: dark) {
  body { color: #ddd; background: #222 }
  code, pre { background: #333 }
  a { color: #9cf }
  :target { background: #554400 }
}
"""


def page() -> str:
    """The whole page."""
    readme = (ROOT / "README.md").read_text("utf-8")
    readme = readme[readme.index(FROM) : readme.index(UNTIL)]
    trouble = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
    trouble = trouble.replace("\n## ", "\n### ").replace("# Troubleshooting", "## When something goes wrong")
    body = "\n".join(_blocks(readme + "\n" + trouble))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Video Mocap</title><style>{STYLE}</style>'
        f"</head><body><h1>Video Mocap</h1>\n{body}\n</body></html>\n"
    )


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub makes them."""
    return re.sub(r"[^\w-]", "", heading.lower().replace(" ", "-"))


def _blocks(text: str) -> Iterator[str]:
    """The few kinds of Markdown that our texts use: headings, paragraphs, lists, code, tables."""
    text = re.sub(r"<!--.*?-->|<img [^>]*>", "", text, flags=re.DOTALL)
    for block in re.findall(r"```.*?```|(?:(?!\n\s*\n|```).)+", text, flags=re.DOTALL):
        lines = block.strip("\n").splitlines()
        while lines:
            first = lines[0]
            if first.startswith("```"):
                yield f"<pre>{html.escape(chr(10).join(lines[1:-1]))}</pre>"
                break
            if heading := re.match(r"(#+) (.*)", first):
                level = min(len(heading[1]), 4)
                yield f'<h{level} id="{slug(heading[2])}">{_inline(heading[2])}</h{level}>'
                lines = lines[1:]
            elif re.match(r"\s*(?:[-*]|\d+\.) ", first):
                count = next((k for k, line in enumerate(lines) if line.startswith("#")), len(lines))
                items = re.split(r"\n?\s*(?:^|\n)\s*(?:[-*]|\d+\.) ", "\n".join(lines[:count]))[1:]
                kind = "ol" if first.strip()[0].isdigit() else "ul"
                yield f"<{kind}>" + "".join(f"<li>{_inline(item)}</li>" for item in items) + f"</{kind}>"
                lines = lines[count:]
            elif first.startswith("|"):
                rows = [line.strip("|").split("|") for line in lines if not set(line) <= set("|- ")]
                cells = ("".join(f"<td>{_inline(cell.strip())}</td>" for cell in row) for row in rows)
                yield "<table>" + "".join(f"<tr>{row}</tr>" for row in cells) + "</table>"
                break
            else:
                count = next((k for k, line in enumerate(lines) if line.startswith("#")), len(lines))
                paragraph = _inline(" ".join(lines[:count]))
                if paragraph.strip():
                    yield f"<p>{paragraph}</p>"
                lines = lines[count:]


def _inline(text: str) -> str:
    """Emphasis, code and links; pictures and links into the repository become plain text: they are not in the zip."""
    text = html.escape(text, quote=False)
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", text)
    text = re.sub(r"\[([^\]]+)\]\((https?://[^)]+)\)", r'<a href="\2">\1</a>', text)
    text = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
    text = re.sub(r"\*\*([^*]+)\*\*", r"<b>\1</b>", text)
    return re.sub(r"(?<![\w*])\*([^*\n]+)\*(?!\w)", r"<i>\1</i>", text)
