"""A clip goes in, a moving character comes out: python packaging/demo.py VIDEO (or `dev.py demo`).

Writes into out/: demo.blend (keyed armature, camera, clip), demo.npz (the take; one a shot, demo.1.npz and so on, where
the video is cut), demo.png (the picture to judge by).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from build_zip import build
from contact_sheet import make_sheet, save
from downloads import CLIP_SHA256, sha256
from environment import ROOT, SetupError

OUT = ROOT / "out"
PROFILE = OUT / "blender-profile"
ROWS = 5
WALKER = "2"  # in the demo clip: the woman who walks by; person 1 jumps off a roof


def main(arguments: list[str]) -> int:
    """Run the demo on one video; -> exit status."""
    video = Path(arguments[0])
    if not video.is_file():
        print(f"demo.py: there is no video {video}", file=sys.stderr)
        return 3
    # A copy beside the .blend: the folder can be moved, and every output has the same name.
    OUT.mkdir(exist_ok=True)
    for old in OUT.glob("demo.*"):
        if old.is_file():
            old.unlink()
    clip = OUT / f"demo{video.suffix.lower()}"
    shutil.copyfile(video, clip)
    shutil.rmtree(PROFILE, ignore_errors=True)
    try:
        with timed("extension zip"):
            archive = build()
        with timed("Blender"):
            status = _capture_in_blender(archive, clip, [WALKER] if sha256(clip) == CLIP_SHA256 else [])
        if status:
            return status
        takes = sorted(OUT.glob("demo*.npz"))  # several where the video is cut
        with timed("contact sheet"):
            save(make_sheet(clip, takes, ROWS, True, OUT / "demo.blend"), OUT / "demo.png")
    except SetupError as error:
        print(f"demo.py: {error}", file=sys.stderr)
        return 5
    finally:
        shutil.rmtree(PROFILE, ignore_errors=True)
    print(
        f"\nLook at {OUT / 'demo.png'} first, then open {OUT / 'demo.blend'} in Blender and press play.\n"
        f"The take is {', '.join(map(str, takes))}. The demo captures one person; the add-on captures everyone."
    )
    return 0


@contextmanager
def timed(name: str) -> Iterator[None]:
    """Print how long something took."""
    began = time.monotonic()
    yield
    print(f"{name + ':':34}{time.monotonic() - began:7.1f} s", flush=True)


def _capture_in_blender(archive: Path, clip: Path, person: list[str]) -> int:
    """Install the zip into a fresh profile and press the button, in a process of its own; -> exit status."""
    environment = {**os.environ, "BLENDER_USER_RESOURCES": str(PROFILE)}
    script = str(Path(__file__).with_name("demo_in_blender.py"))
    return subprocess.run([sys.executable, script, str(archive), str(clip), *person], env=environment).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
