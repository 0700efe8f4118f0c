"""The README's pictures of Blender's window, into docs/pictures.

    python3 packaging/dev.py pictures --blender BLENDER

Needs a real Blender and a display (Xvfb will do), ImageMagick's `import`; what is shown: tests/window/pictures.py.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
from build_zip import build
from downloads import fetch_clip
from environment import ROOT

FOLDER = ROOT / "docs" / "pictures"
WIDEST = 900  # pixels
QUALITY = 80


def main(arguments: list[str]) -> int:
    """Take them all; -> exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blender", type=Path, required=True)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="blender-") as profile, tempfile.TemporaryDirectory() as shots:
        settings = os.environ | {"BLENDER_USER_RESOURCES": profile, "VIDEO_MOCAP_PYTHON": sys.executable}
        script = [str(options.blender), "--python", "tests/window/pictures.py", "--"]
        status = subprocess.run([*script, str(build()), str(fetch_clip()), shots], cwd=ROOT, env=settings).returncode
        places = sorted(Path(shots).glob("*.json"))
        if status or not places:
            return 1
        FOLDER.mkdir(parents=True, exist_ok=True)
        for place in places:
            x, y, width, height = json.loads(place.read_text())
            image = cv2.imread(str(place.with_suffix(".png")))[y : y + height, x : x + width]
            if width > WIDEST:
                image = cv2.resize(image, (WIDEST, round(height * WIDEST / width)), interpolation=cv2.INTER_AREA)
            path = FOLDER / f"{place.stem}.jpg"
            cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
            print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
