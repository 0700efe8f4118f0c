"""The command line: `python -m backend COMMAND`, whose `--help` lists the commands."""

from __future__ import annotations

import argparse
import io
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

from .cancel import Cancel
from .core.errors import CODES, MocapError
from .core.protocol import Message
from .core.take import output_of
from .engines import AUTO, DEVICES, ENGINES
from .job import Job, Line, Resolve
from .models.commands import add_parser as add_models
from .networks import NETWORKS
from .serve import as_failure, serve
from .store import writing


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. -> the exit status, of `errors.CODES` when something went wrong."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a console may lack the letters of a file's name
    options = _parser().parse_args(arguments)
    try:
        status = int(options.run(options))
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # whoever reads has seen enough, such as `head`
        _silence(sys.stdout)
        return 0
    except Exception as error:
        failure = as_failure(error)
        print(f"error: {failure}", file=sys.stderr)
        return failure.exit_status


def _silence(stream: TextIO) -> None:
    """Nobody reads it any more: what waits to be written, and all that follows, goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _capture(options: argparse.Namespace) -> int:
    job = Job(
        video=options.video.absolute(),
        output=options.output.absolute(),
        start=options.start,
        end=options.end,
        people=options.people,
        fps=options.fps,
        device=options.device,
        engines=dict(options.engine),
        focal=options.focal,
        tilt=options.tilt,
        plumb=options.plumb,
    )
    from .pipeline import capture  # late: --help and doctor work without the packages

    return _follow(lambda emit, cancelled: capture(job, emit, cancelled, watched=False))


def _resolve(options: argparse.Namespace) -> int:
    from .observations import observations_of, source_of
    from .resolve import resolve

    take = options.take.absolute()
    source, observations = source_of(take), observations_of(take)
    job = Resolve(
        observations=observations,
        output=options.output.absolute() if options.output else output_of(take),
        people=options.people,
        engines=dict(options.engine),
        focal=options.focal,
        tilt=options.tilt,
        plumb=options.plumb or None,
        take=None if source == observations else source,
    )
    return _follow(lambda emit, cancelled: resolve(job, emit, cancelled))


def _follow(work: Callable[[Callable[[Message], None], Callable[[], bool]], list[Path]]) -> int:
    """Do work that can be cancelled, with its progress on standard error and its takes on standard output."""
    cancelled = MocapError("cancelled", "The capture was cancelled.")

    def abort() -> None:
        print(f"\nerror: {cancelled}", file=sys.stderr, flush=True)
        os._exit(cancelled.exit_status)

    cancel = Cancel(abort)
    for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: cancel.request())
    report = Report(sys.stderr)
    try:
        takes = work(report, cancel.requested)
    finally:
        cancel.finish()
        report.close()
    for path in takes:
        print(path)
    return 0


def _serve(options: argparse.Namespace) -> int:
    return serve()


def _doctor(options: argparse.Namespace) -> int:
    from .doctor import examine, render

    findings = examine()
    print(json.dumps(findings, indent=1) if options.json else render(findings))
    return 0 if findings["ok"] else CODES["engine-unavailable"][0]


def _info(options: argparse.Namespace) -> int:
    from dataclasses import asdict

    from .video import probe

    found = {**asdict(probe(options.video)), "path": str(options.video)}
    if options.json:
        print(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        for name, value in found.items():
            shown = f"{value:.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else value
            print(f"{name.replace('_', ' '):22}{'unknown' if shown is None else shown}")
    return 0


def _mesh(options: argparse.Namespace) -> int:
    from .mesh import write
    from .models.library import Library

    for path in write(options.take, options.model or Library().path("smplx"), options.output):
        print(path)
    return 0


def _convert(options: argparse.Namespace) -> int:
    from .motion.convert import convert

    tell = Report(sys.stderr).line
    print(convert(options.sources, options.output, options.rate, options.subjects, options.titles, tell))
    return 0


def _train(options: argparse.Namespace) -> int:
    from .motion.train import Plan, train  # needs torch

    names = ("data", "validation", "folder", "lifter", "watched", "start", "hours", "device")
    told = {name: getattr(options, name) for name in names}
    train(options.network, Plan.read(options.config, **told))
    return 0


def _export(options: argparse.Namespace) -> int:
    from .motion.export import export  # needs torch

    print(export(options.network, options.weights, options.output))
    return 0


def _references(options: argparse.Namespace) -> int:
    from .evaluation import benchmarks

    truths = benchmarks.load(options.benchmark, options.folder, benchmarks.Bodies(options.models))
    written, missing = benchmarks.write(truths, options.folder, options.output)
    for path in written:
        print(path)
    if missing:
        count = len(written) + len(missing)
        print(f"{len(missing)} of {count} videos are not there: {', '.join(missing)}", file=sys.stderr)
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    if options.motions:
        return _evaluate_networks(options)
    if not options.takes:
        raise MocapError("bad-request", "Takes are wanted, or --motions.")
    from .evaluation import alone, compare

    if not options.against:
        told = alone.evaluate(options.takes)
        print(alone.table(told))
        if options.json:
            _write_json(options.json, {"takes": told})
        return 0
    pairs = compare.match(options.takes, options.against)
    result = compare.evaluate(pairs)
    print(compare.table(result))
    if options.json:
        _write_json(options.json, result)
    if options.detectors:
        from .evaluation import detectors

        measured = detectors.measure(pairs)
        if options.detectors.suffix == ".md":
            _write_text(options.detectors, detectors.render(measured))
        else:
            _write_json(options.detectors, measured)
    return 0


def _evaluate_networks(options: argparse.Namespace) -> int:
    from .evaluation import chains
    from .motion import mocap, observed  # needs torch

    motions = mocap.load(options.motions)
    result: dict[str, dict[str, dict[str, float]]] = {}
    for setting in observed.SETTINGS:
        seen = observed.synthesise(motions, setting, options.clips)
        result[str(setting)] = {name: chains.measure(chain, seen) for name, chain in chains.chains().items()}
    print(chains.render(result))
    if options.json:
        _write_json(options.json, result)
    return 0


def _write_json(path: Path, result: object) -> None:
    _write_text(path, json.dumps(result, indent=1, ensure_ascii=False) + "\n")


def _write_text(path: Path, text: str) -> None:
    with writing(path):
        path.write_text(text, "utf-8")


class Report:
    """Tells a person at a terminal how a capture goes: a progress bar, or a line now and then where there is none."""

    WIDTH = 30

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._live = stream.isatty()
        self._name = ""
        self._from = self._told = time.monotonic()
        self._begun = 0

    def __call__(self, message: Message) -> None:
        """Show a message of the wire."""
        if message["type"] == "stage":
            self._stage(message["name"], message["done"], message["total"])
        elif message["type"] == "warning":
            self.line(f"warning: {message['what']} [{message['code']}]")

    def close(self) -> None:
        """End the stage that was running."""
        self.line(f"{self._name}: {time.monotonic() - self._from:.1f} s" if self._name else "")

    def line(self, text: str) -> None:
        """Show a line of its own, where there is something to say."""
        if text:
            self._write(("\r" + text.ljust(79) if self._live else text) + "\n")

    def _stage(self, name: str, done: int, total: int) -> None:
        now = time.monotonic()
        if name != self._name:
            self.close()
            self._name, self._from, self._told, self._begun = name, now, now, done
        if self._live:
            share = done / total if total else 0.0
            bar = ("#" * round(share * self.WIDTH)).ljust(self.WIDTH, ".")
            self._write(f"\r{name:8}[{bar}] {done}/{total or '?'}  {self._left(done, total, now)}".ljust(80))
        elif now - self._told > 10:
            self._told = now
            self.line(f"{name}: {done}/{total or '?'}  {self._left(done, total, now)}")

    def _left(self, done: int, total: int, now: float) -> str:
        """Time left at the pace of this run; what an earlier run left over came for nothing."""
        if done <= self._begun or now - self._from < 2:
            return ""
        return f"{(total - done) * (now - self._from) / (done - self._begun):.0f} s left"

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:  # the capture goes on, whether or not somebody follows it
            _silence(self._stream)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m backend", description="Markerless motion capture from video.")
    commands = parser.add_subparsers(required=True, metavar="command")
    _add_capture(commands)
    _add_resolve(commands)
    _add_serve(commands)
    _add_doctor(commands)
    add_models(commands)
    _add_info(commands)
    _add_mesh(commands)
    _add_evaluate(commands)
    _add_references(commands)
    _add_convert(commands)
    _add_train(commands)
    _add_export(commands)
    return parser


def _add_capture(commands: argparse._SubParsersAction) -> None:
    command = commands.add_parser("capture", help="capture a video into SMPL-X takes")
    command.add_argument("video", type=Path)
    command.add_argument("-o", "--output", type=Path, required=True, metavar="TAKE.npz")
    command.add_argument("--start", type=float, metavar="S", help="seconds in the clip (default: its beginning)")
    command.add_argument("--end", type=float, metavar="S", help="seconds in the clip (default: its end)")
    command.add_argument(
        "--people",
        default="all",
        help="all, largest, a number N for the N largest, id3 for person 3, or at1.5:640,360 for who is at that pixel "
        "after 1.5 s, several joined by + (default: all)",
    )
    command.add_argument("--fps", type=float, help="look at about so many frames a second (default: all)")
    command.add_argument(
        "--device", choices=(AUTO, *DEVICES), default=AUTO, help="for published models (default: the fastest there is)"
    )
    _add_solving(command)
    command.set_defaults(run=_capture)


def _add_resolve(commands: argparse._SubParsersAction) -> None:
    command = commands.add_parser("resolve", help="solve a capture again from its keypoints, in seconds")
    command.add_argument("take", type=Path, help="one of its takes, their index, or the .keypoints file")
    command.add_argument(
        "-o", "--output", type=Path, metavar="TAKE.npz", help="default: the takes of that name are replaced"
    )
    command.add_argument("--people", help="as for capture (default: as captured)")
    _add_solving(command)
    command.set_defaults(run=_resolve)


def _add_serve(commands: argparse._SubParsersAction) -> None:
    command = commands.add_parser("serve", help="one capture for a parent process, as JSON lines on stdin and stdout")
    command.set_defaults(run=_serve)


def _add_doctor(commands: argparse._SubParsersAction) -> None:
    command = commands.add_parser("doctor", help="what is installed, what can run, and a self-test")
    command.add_argument("--json", action="store_true")
    command.set_defaults(run=_doctor)


def _add_info(commands: argparse._SubParsersAction) -> None:
    command = commands.add_parser("info", help="what a video file holds")
    command.add_argument("video", type=Path)
    command.add_argument("--json", action="store_true")
    command.set_defaults(run=_info)


def _add_mesh(commands: argparse._SubParsersAction) -> None:
    command = commands.add_parser("mesh", help="the surface of a take's body, by your SMPL-X model file")
    command.add_argument("take", type=Path, metavar="TAKE.npz")
    command.add_argument(
        "-o", "--output", type=Path, required=True, metavar="BODY.npz", help="or BODY.obj, with a .pc2"
    )
    command.add_argument(
        "--model", type=Path, metavar="SMPLX_NEUTRAL.npz", help="default: as added, `models add smplx`"
    )
    command.set_defaults(run=_mesh)


def _add_evaluate(commands: argparse._SubParsersAction) -> None:
    command = commands.add_parser("evaluate", help="measure takes, by themselves or against the truth")
    command.add_argument("takes", type=Path, nargs="*", metavar="TAKE")
    command.add_argument("--against", type=Path, nargs="+", metavar="TRUTH", help="takes that hold it")
    command.add_argument(
        "--motions", type=Path, metavar="MOTIONS.npz", help="instead: the engines on these, synthesised (needs torch)"
    )
    command.add_argument("--clips", type=int, default=48, help="how many of each kind with --motions (default: 48)")
    command.add_argument("--json", type=Path, metavar="FILE", help="write the table's numbers there too")
    command.add_argument("--detectors", type=Path, metavar="FILE", help="write how the detectors err (.json or .md)")
    command.set_defaults(run=_evaluate)


def _add_references(commands: argparse._SubParsersAction) -> None:
    command = commands.add_parser("references", help="make references of a public benchmark's labels (needs torch)")
    command.add_argument("benchmark", choices=("moyo", "rich", "moof"))
    command.add_argument("folder", type=Path, help="with the label files and videos/, as docs/evaluation.md lists them")
    command.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    command.add_argument(
        "--models", type=Path, metavar="FOLDER", help="with SMPLX_FEMALE.npz, ...: the people's own bone lengths"
    )
    command.set_defaults(run=_references)


def _add_convert(commands: argparse._SubParsersAction) -> None:
    command = commands.add_parser("convert", help="make training data of CMU's motion capture files (.asf and .amc)")
    command.add_argument("sources", type=Path, nargs="+", metavar="FOLDER_OR_FILE")
    command.add_argument("-o", "--output", type=Path, required=True, metavar="MOTIONS.npz")
    command.add_argument("--rate", type=_rate, metavar="HZ", help="frames a second (default: as CMU's index says)")
    command.add_argument("--subjects", type=_numbers, metavar="2,5,14", help="only these (default: all that are there)")
    command.add_argument("--titles", type=Path, metavar="INDEX.csv", help="CMU's index: what every trial shows")
    command.set_defaults(run=_convert)


def _add_train(commands: argparse._SubParsersAction) -> None:
    command = commands.add_parser("train", help="train a motion network (for developers; needs torch)")
    command.add_argument("network", choices=NETWORKS)
    command.add_argument("--config", type=Path, required=True, metavar="PLAN.toml", help="as in assets/motion/")
    command.add_argument("--data", type=Path, metavar="MOTIONS.npz")
    command.add_argument("--validation", type=Path, metavar="MOTIONS.npz", help="people who are not in the data")
    command.add_argument("--folder", type=Path, help="checkpoints and logs; an earlier run there goes on")
    command.add_argument(
        "--lifter", type=Path, metavar="WEIGHTS", help="trained lifter that footmr and orient build on"
    )
    command.add_argument(
        "--watched", type=Path, metavar="FOLDER", help="takes of rendered clips with their truth, to learn from too"
    )
    command.add_argument("--start", type=Path, metavar="WEIGHTS", help="weights to begin with, to fine-tune them")
    command.add_argument("--hours", type=float, help="in all, earlier runs included (default: the plan's)")
    command.add_argument("--device", help="as torch names it (default: the plan's, else cpu)")
    command.set_defaults(run=_train)


def _add_export(commands: argparse._SubParsersAction) -> None:
    command = commands.add_parser("export", help="turn trained weights into what the pipeline runs (needs torch)")
    command.add_argument("network", choices=NETWORKS)
    command.add_argument(
        "weights", type=Path, nargs="+", help="a training's checkpoint (.pt) or .safetensors; of several, their average"
    )
    command.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    command.set_defaults(run=_export)


def _add_solving(command: argparse.ArgumentParser) -> None:
    """What can be said about engines and camera, at first and when solving again."""
    command.add_argument(
        "--engine", action="append", default=[], type=_engine, metavar="STAGE=NAME",
        help="; ".join(f"{stage}={'|'.join(named)}" for stage, named in ENGINES.items()),
    )  # fmt: skip
    command.add_argument("--focal", type=float, metavar="MM", help="the lens, as its 35 mm equivalent")
    command.add_argument("--tilt", type=float, metavar="DEGREES", help="how far the camera looks down")
    command.add_argument(
        "--plumb", action="append", default=[], type=_line, metavar="SECONDS:X0,Y0,X1,Y1",
        help="a line in the picture, in pixels, along something that is vertical in the world; two or more tell best",
    )  # fmt: skip


def _line(text: str) -> Line:
    try:
        time, ends = text.split(":")
        x0, y0, x1, y1 = (float(number) for number in ends.split(","))
        return float(time), x0, y0, x1, y1
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text} is not SECONDS:X0,Y0,X1,Y1") from error


def _rate(text: str) -> float:
    rate = float(text)
    if not 1.0 <= rate <= 1000.0:
        raise argparse.ArgumentTypeError(f"{text} frames a second are not possible")
    return rate


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def _engine(text: str) -> tuple[str, str]:
    stage, separator, name = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"{text!r} is not STAGE=NAME")
    return stage, name
