"""The developers' one command.

    python3 packaging/dev.py setup         make .venv, install everything, fetch the landmark models
    python3 packaging/dev.py demo [VIDEO]  capture a clip in Blender, end to end, into out/
    python3 packaging/dev.py test [...]    lint, types and tests; further arguments go to pytest
    python3 packaging/dev.py matrix [...]  the add-on's tests in Blender 4.2, 4.5, 5.0, 5.2 and in real windows
    python3 packaging/dev.py bench         speed, as ratios measured in one run
    python3 packaging/dev.py zip           build the extension into dist/
    python3 packaging/dev.py bake-body     make the body that takes wear (assets/body) anew
    python3 packaging/dev.py pictures --blender BLENDER   the README's pictures of the window
    python3 packaging/dev.py render-clips --motions FILE.npz [...]   clips with exact truth, into out/clips

Needs Python 3.11 or 3.13 with pip and nothing else; every command sets up what it needs first.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from downloads import fetch_body, fetch_clip, fetch_installer, fetch_models, fetch_rigs, fetch_wheels
from environment import PYTHONS, ROOT, SetupError, prepare

BLENDER_TESTS = "tests/addon"
SCRIPTS = {
    "demo": "demo.py",
    "bench": "bench.py",
    "zip": "build_zip.py",
    "render-clips": "render_clips.py",
    "bake-body": "bake_body.py",
    "matrix": "matrix.py",
    "pictures": "pictures.py",
}
NO_TESTS = 5  # pytest's exit status when a filter leaves nothing to run


def main(arguments: list[str]) -> int:
    """Run one command; -> exit status."""
    parser = argparse.ArgumentParser(
        prog="dev.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=("setup", "test", *SCRIPTS))
    parser.add_argument(
        "--system-packages", action="store_true", help="as root on Debian: install system libraries too"
    )
    options, rest = parser.parse_known_args(arguments)
    try:
        python = prepare(options.system_packages)
        fetch_models()
        fetch_installer()
        if options.command == "setup":
            print(f"Ready: {python}")
            return 0
        if options.command == "test":
            fetch_clip()
            fetch_rigs()
            fetch_wheels()
            fetch_body()
            return test(str(python), rest)
        if options.command in ("demo", "bench"):
            given = bool(rest) and not rest[0].startswith("-")
            rest = [str(Path(rest[0]).absolute()), *rest[1:]] if given else [str(fetch_clip()), *rest]
        if options.command == "render-clips":
            fetch_body()
        return _run(str(python), f"packaging/{SCRIPTS[options.command]}", *rest)
    except SetupError as error:
        print(f"dev.py: {error}", file=sys.stderr)
        return 5


def test(python: str, arguments: list[str]) -> int:
    """Lint, types, then the tests in two processes: Blender's module must not share one with the rest."""
    paths = [argument for argument in arguments if (ROOT / argument.split("::")[0]).exists()]
    options = [argument for argument in arguments if argument not in paths]
    in_blender = [path for path in paths if path.startswith(BLENDER_TESTS)]
    elsewhere = [path for path in paths if path not in in_blender]
    pytest = [python, "-m", "pytest", "-q", *options]
    checks = {"ruff": [python, "-m", "ruff", "check", "--output-format=concise"]}
    if sys.version_info[:2] == PYTHONS[0]:  # one numpy's annotations are enough: those of the next one differ
        checks["mypy"] = [python, "-m", "mypy"]
    if elsewhere or not paths:
        checks["tests without Blender"] = [*pytest, f"--ignore={BLENDER_TESTS}", *elsewhere]
    if in_blender or not paths:
        checks["tests in Blender"] = [*pytest, *(in_blender or [BLENDER_TESTS])]
    results = {}
    for name, command in checks.items():
        print(f"== {name}", flush=True)
        status, last = _watched(command)
        results[name] = (0 if options and status == NO_TESTS else status), last
    print("== summary")
    for name, (status, last) in results.items():
        print(f"{'FAILED' if status else 'passed'}  {name}: {last or 'nothing to say'}")
    return int(any(status for status, _ in results.values()))


def _watched(command: list[str]) -> tuple[int, str]:
    """Run a command and show its output; -> exit status and the last line that it printed."""
    last = ""
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout
    for line in process.stdout:
        text = line.decode("utf-8", "replace")
        print(text, end="", flush=True)
        last = text.strip() or last
    return process.wait(), last


def _run(*command: str) -> int:
    return subprocess.run(command, cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
