"""`python -m backend models list | add | remove | verify | folder | commercial-only`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from ..core.errors import MocapError
from ..engines import capabilities
from .catalogue import MODELS, PublishedModel
from .download import fetch
from .library import Library

STATES = {"ok": "", "missing": "no longer there", "changed": "changed since then: add it again"}
_next_line = 0.0  # when progress is told again


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Put `models` and what it can do among the command line's commands."""
    models = commands.add_parser("models", help="published models: list, add, remove, verify their files")
    actions = models.add_subparsers(required=True, metavar="action")

    action = actions.add_parser("list", help="what there is, from where, under which licence, and what you have")
    action.add_argument("--json", action="store_true")
    action.set_defaults(run=_list)

    action = actions.add_parser("add", help="add a file that you have, or download one")
    action.add_argument("name", choices=MODELS)
    action.add_argument("file", type=Path, nargs="?", help="it stays where it is")
    action.add_argument(
        "--download", action="store_true", help="into the models' folder, where the publisher allows it"
    )
    action.add_argument("--yes", action="store_true", help="I have read the licence and agree")
    action.set_defaults(run=_add)

    action = actions.add_parser("remove", help="forget a model; a downloaded file is deleted, your own are not")
    action.add_argument("name", choices=MODELS)
    action.set_defaults(run=_remove)

    action = actions.add_parser("verify", help="whether the files are what they were when they were added")
    action.add_argument("names", nargs="*", choices=[[], *MODELS], metavar="name")
    action.set_defaults(run=_verify)

    action = actions.add_parser("folder", help="where downloads go")
    action.add_argument("folder", type=Path, nargs="?")
    action.set_defaults(run=_folder)

    action = actions.add_parser("commercial-only", help="hide and refuse what is not for commercial use")
    action.add_argument("state", choices=("on", "off"))
    action.set_defaults(run=_commercial_only)


def _list(options: argparse.Namespace) -> int:
    library = Library()
    if options.json:
        told = {**library.describe(_tick), "engines": capabilities()["engines"]}
        print(json.dumps(told, indent=1, ensure_ascii=False))
        return 0
    for name, model in library.visible().items():
        print(f"{name}: {model.title}")
        for line in terms(model):
            print(f"    {line}")
        print(f"    {'added: ' + _told(library, name) if name in library.added else 'not added'}")
    hidden = len(MODELS) - len(library.visible())
    print(f"\nfolder: {library.folder}")
    print(f"commercially safe only: {f'on, {hidden} hidden' if library.commercial_only else 'off'}")
    return 0


def terms(model: PublishedModel) -> list[str]:
    """What a user must know before adding a model, a line each."""
    size = f"about {model.megabytes} MB" if model.megabytes else "size not known"
    lines = [
        f"file: {model.file}, {size}",
        f"from: {model.source}",
        f"licence: {model.licence}",
        f"commercial use: {'allowed' if model.commercial else 'no'}",
    ]
    lines.append(f"checksum: {model.sha256 or 'not known'}")
    return [*lines, f"note: {model.note}"] if model.note else lines


def _told(library: Library, name: str) -> str:
    """The file of a model that was added, and what is to be said of it."""
    entry, known = library.added[name], MODELS[name].sha256
    remarks = [
        "another version than the known one" if known and entry.sha256 != known else "",
        "" if entry.checked else "not looked into: that takes PyTorch",
        STATES[library.state(name, _tick)],
    ]
    return " ".join([entry.file, *(f"({remark})" for remark in remarks if remark)])


def _add(options: argparse.Namespace) -> int:
    library, model = Library(), MODELS[options.name]
    if (options.file is None) != options.download:
        raise MocapError("bad-request", "Name a file, or say --download.", "One of the two.")
    if options.download:
        _agree(model, options.yes)
        print(fetch(library, options.name, _tick))
    else:
        library.add(options.name, options.file, _tick)
        print(_told(library, options.name))
    return 0


def _agree(model: PublishedModel, yes: bool) -> None:
    """Ask for the user's consent; raises MocapError model-consent without an explicit yes."""
    print(f"{model.title}\n" + "\n".join(f"    {line}" for line in terms(model)), file=sys.stderr)
    if yes:
        return
    if sys.stdin is not None and sys.stdin.isatty():
        print('Download it? Type "yes" if you agree to its licence: ', end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() == "yes":
            return
    raise MocapError("model-consent", f"{model.title} needs your consent to: {model.licence}.")


def _remove(options: argparse.Namespace) -> int:
    deleted = Library().remove(options.name)
    print(f"{options.name} removed" + (", its file deleted" if deleted else "; its file stays"))
    return 0


def _verify(options: argparse.Namespace) -> int:
    library = Library()
    states = {name: library.verify(name, _tick) for name in options.names or library.added if name in library.added}
    for name in options.names:
        states.setdefault(name, "not added")
    for name, state in states.items():
        print(f"{name}: {state}")
    return 0 if all(state == "ok" for state in states.values()) else 5


def _folder(options: argparse.Namespace) -> int:
    library = Library()
    if options.folder is not None:
        library.choose_folder(options.folder)
    print(library.folder)
    return 0


def _commercial_only(options: argparse.Namespace) -> int:
    Library().set_commercial_only(options.state == "on")
    return 0


def _tick(done: int, total: int) -> None:
    """Progress: over and over on one line of a terminal, else a line now and then."""
    global _next_line
    told = f"{done / 1e6:8.0f} MB" + (f" {100 * done / total:3.0f} %" if total else "")
    if sys.stderr.isatty():
        print(f"\r{told}", end="\n" if done == total else "", file=sys.stderr, flush=True)
    elif time.monotonic() >= _next_line:
        _next_line = time.monotonic() + 0.5
        print(told.strip(), file=sys.stderr, flush=True)
