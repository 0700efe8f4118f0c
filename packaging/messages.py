"""What the add-on says, for its translations: every English text that a user can see.

    .venv/bin/python packaging/messages.py      write mocap_addon/translations/english.py anew

Texts of classes and properties are Blender's own to translate; those that panels and reports put together go through
`tr`. Texts are taken from both: from the classes as they are registered, and from the arguments that show text.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "mocap_addon" / "translations" / "english.py"
# Calls that show a text -> which of their arguments it is.
SHOWN = {"Finding": 1, "poll_message_set": 0, "report": 1, "wrapped": 1, "tr": 0, "N_": 0, "status_text_set": 0}
TABLES = ("STAGES", "SOURCE", "WHAT", "REASONS")  # constants whose values are shown
KEYWORDS = ("text", "heading", "message", "title")


def from_source(folder: Path) -> Iterator[tuple[str, str]]:
    """(text, where) of all arguments that show a constant text."""
    for path in sorted(folder.rglob("*.py")):
        if path.parent.name == "translations":
            continue
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(call, ast.Assign) and getattr(call.targets[0], "id", "") in TABLES:
                values = call.value.values if isinstance(call.value, ast.Dict) else [call.value]
                yield from ((text, path.name) for value in values for text in _constants(value))
            if not isinstance(call, ast.Call):
                continue
            where = f"{path.relative_to(folder)}:{call.lineno}"
            for node in _shown(call):
                for text in _constants(node):
                    if _is_text(text):
                        yield text, where


def untranslatable(folder: Path) -> list[str]:
    """Places that show a text with values put into it before it is translated: they need tr("... {name}", name=...)."""
    found = []
    for path in sorted(folder.rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            for node in _shown(call) if isinstance(call, ast.Call) else ():
                for part in ast.walk(node):
                    if isinstance(part, ast.JoinedStr) and _is_text(
                        " ".join(str(piece.value) for piece in part.values if isinstance(piece, ast.Constant))
                    ):
                        found.append(f"{path.relative_to(folder)}:{call.lineno}")
    return sorted(set(found))


def _shown(call: ast.Call) -> Iterator[ast.expr]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    place = SHOWN.get(name)
    if place is not None and len(call.args) > place:
        yield call.args[place]
    if name not in ("StringProperty",):
        yield from (keyword.value for keyword in call.keywords if keyword.arg in KEYWORDS and _is_layout(call))


def _is_layout(call: ast.Call) -> bool:
    """Whether text= belongs to something drawn: label, prop, operator, progress, menu, ... or a question."""
    return isinstance(call.func, ast.Attribute)


def _constants(node: ast.expr) -> Iterator[str]:
    """Constant texts in an expression that chooses between them; those inside other calls are theirs."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _constants(node.body)
        yield from _constants(node.orelse)
    elif isinstance(node, ast.BoolOp):
        for value in node.values:
            yield from _constants(value)


def _is_text(text: str) -> bool:
    return bool(re.search(r"[A-Za-z]{2}", text))


def from_classes(classes: Iterable[Any]) -> Iterator[tuple[str, str]]:
    """(text, where) of labels, tooltips and properties, as Blender is told about them."""
    import bpy

    for cls in classes:
        texts = [vars(cls).get("bl_label", ""), vars(cls).get("bl_description", "")]
        if issubclass(cls, bpy.types.Operator) and "bl_description" not in vars(cls):
            texts.append(cls.__doc__ or "")
        for base in cls.__mro__:
            for told in vars(base).get("__annotations__", {}).values():
                words = getattr(told, "keywords", {})
                if "HIDDEN" in words.get("options", ()):
                    continue
                texts += [words.get("name", ""), words.get("description", "")]
                items = words.get("items", ())
                for item in () if callable(items) else items:
                    texts += item[1:3]
        yield from ((text, cls.__name__) for text in texts if _is_text(text))


def advice() -> Iterator[tuple[str, str]]:
    """(text, code) of what to do about each error."""
    from backend.core.errors import CODES

    yield from ((text, code) for code, (_, text) in CODES.items())


def everything() -> dict[str, str]:
    """Text -> the first place that shows it, in alphabetical order."""
    sys.path.insert(0, str(ROOT))
    import bpy  # noqa: F401  # mathutils and others come with it

    extension = ModuleType("video_mocap")
    extension.__path__ = [str(ROOT)]
    sys.modules.setdefault("video_mocap", extension)
    from video_mocap.mocap_addon import registration  # type: ignore[import-not-found]

    found: dict[str, str] = {}
    for part in (from_classes(registration.CLASSES), from_source(ROOT / "mocap_addon"), advice()):
        for text, where in part:
            found.setdefault(text, where)
    return dict(sorted(found.items()))


def main() -> None:
    """Write the table."""
    lines = [f"    {json.dumps(text, ensure_ascii=False)},\n" for text in everything()]
    TABLE.write_text(
        '"""Every text of the add-on, in English, for translations to cover. Written by packaging/messages.py."""\n\n'
        "# ruff: noqa: E501\nMESSAGES = (\n" + "".join(lines) + ")\n",
        "utf-8",
    )
    print(f"{len(lines)} texts")


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    import os

    os._exit(0)  # Blender's module may hang in the interpreter's own exit
