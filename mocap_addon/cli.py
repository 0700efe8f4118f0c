"""Set-up, captures and retargeting without a window.

    blender --online-mode --command video_mocap setup
    blender --command video_mocap capture VIDEO --blend OUT.blend [--take OUT.npz] [...]
    blender --command video_mocap retarget CHARACTER.blend TAKE -o OUT.blend [...]

The same function, `main`, can be called where Blender is a Python module.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path

import bpy

from ..backend.core.errors import MocapError
from . import environment, files, preferences
from .capture import Capture, Request
from .job import on_interrupt
from .retarget import command
from .setup import operators as setup

COMMAND = "video_mocap"


def main(arguments: list[str]) -> int:
    """Run a command; -> exit status, see `backend.core.errors`."""
    try:
        options = _parser().parse_args(arguments)
    except SystemExit as stop:  # argparse's own way to say that it has printed its text
        return int(stop.code or 0)
    try:
        with on_interrupt(signal.default_int_handler):
            options.run(options)
    except KeyboardInterrupt:
        error = MocapError("cancelled", "The command was cancelled.", "Run it again.")
    except MocapError as failure:
        error = failure
    else:
        return 0
    print(f"Error: {error}", file=sys.stderr, flush=True)
    return error.exit_status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"blender --command {COMMAND}")
    commands = parser.add_subparsers(dest="command", required=True)
    capture = commands.add_parser("capture", help="capture the people of a video into a new .blend file")
    capture.set_defaults(run=_capture)
    capture.add_argument("video", type=Path)
    capture.add_argument("--blend", type=Path, required=True, help="the .blend file to write")
    capture.add_argument("--take", type=Path, help="the take file to write; beside the .blend when not given")
    capture.add_argument("--start", type=float, help="second of the clip to start at")
    capture.add_argument("--end", type=float, help="second of the clip to stop at")
    capture.add_argument("--people", default="all", help="all, largest, a number of people, or idN for track N")
    capture.add_argument("--fps", type=float, help="frames a second to look at; all when not given")
    capture.add_argument("--device", default="auto")
    capture.add_argument("--engine", action="append", default=[], metavar="STAGE=NAME", help="can be repeated")
    capture.add_argument("--python", default="", help="Python of the backend; as in the preferences when not given")
    command.add_parsers(commands)
    setup.add_parser(commands)
    return parser


def _capture(options: argparse.Namespace) -> None:
    blend = options.blend.absolute()
    files.check_output(blend, "--blend", ".blend")
    python = environment.find(preferences.get().python, files.user_folder(), options.python)
    request = Request(
        video=options.video.absolute(),
        output=(options.take or blend.with_suffix(".npz")).absolute(),
        start=options.start,
        end=options.end,
        people=options.people,
        fps=options.fps,
        device=options.device,
        engines=_engines(options.engine),
    )
    bpy.ops.wm.read_homefile(use_empty=True)
    scene = bpy.context.scene
    capture = Capture(python, request, scene)
    _watch(capture)
    if scene.video_mocap.takes:  # after an error too: what was computed is kept
        files.save(blend)
        print(f"{blend}: {', '.join(entry.name for entry in scene.video_mocap.takes)}", file=sys.stderr)
    if capture.error:
        if capture.log and capture.error.exit_status in (1, 5):
            print(f"Log: {capture.log}", file=sys.stderr)
        raise capture.error


def _engines(choices: list[str]) -> dict[str, str]:
    for choice in choices:
        if "=" not in choice:
            raise MocapError("bad-request", f"--engine takes STAGE=NAME, not {choice!r}.")
    return dict(choice.split("=", 1) for choice in choices)


def _watch(capture: Capture) -> None:
    """Run the capture; a line for every tenth of a stage. Ctrl-C cancels it and keeps what there is."""
    told, told_warnings = None, 0
    heard: list[int] = []  # signals; not an exception, which would break off whatever step it comes in
    steps = capture.steps()
    with on_interrupt(lambda number, frame: heard.append(number)):
        while next(steps, "end") != "end":
            if heard:
                capture.cancel()
                heard.clear()
            tenth = 10 * capture.done // capture.total if capture.total else 0
            if told != (capture.stage, tenth) and capture.stage:
                told = (capture.stage, tenth)
                print(f"{capture.stage_text()} {capture.done}/{capture.total}", file=sys.stderr, flush=True)
            for warning in capture.warnings[told_warnings:]:
                print(f"Warning: {warning}", file=sys.stderr, flush=True)
            told_warnings = len(capture.warnings)
            time.sleep(0.01)
