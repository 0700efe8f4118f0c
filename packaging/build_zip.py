"""Build the extension's zip into dist/: the same bytes from the same sources, checked by Blender's own tool.

python packaging/build_zip.py
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from downloads import has_installer, missing_models
from environment import PIP_WHEEL, ROOT, SetupError
from help_page import PLACE as HELP
from help_page import page

GROUPS = ("default", "gpu", "yolo", "rtmpose")  # that the set-up installs
# What the extension consists of; everything else in the repository is for the people who make it.
CONTENTS = (
    "__init__.py",
    "blender_manifest.toml",
    "LICENSE",
    "NOTICE.md",
    *(f"packaging/locks/{group}{kind}" for group in GROUPS for kind in (".txt", ".json")),
    "packaging/locks/interpreter.txt",
    "mocap_addon",
    "backend",
    "assets",
)
LICENCES = ("assets/embedded/LICENSE", "assets/embedded/NOTICE")
FILE_TIME = (2026, 1, 1, 0, 0, 0)  # a constant one, so that a new clone gives the same zip


def main() -> int:
    """Build and validate; -> exit status."""
    try:
        print(build())
    except SetupError as error:
        print(f"build_zip.py: {error}", file=sys.stderr)
        return 5
    return 0


def build() -> Path:
    """The path of the new zip. Raises SetupError when something of it is missing or Blender's tool refuses it."""
    missing = [f"assets/embedded/{name}" for name in missing_models()]
    missing += [] if has_installer() else [PIP_WHEEL.relative_to(ROOT).as_posix()]
    missing += [path for path in (*CONTENTS, *LICENCES) if not (ROOT / path).exists()]
    if missing:
        raise SetupError(f"the zip would lack {', '.join(missing)}: run `python3 packaging/dev.py setup` first")
    dist = ROOT / "dist"
    dist.mkdir(exist_ok=True)
    path = dist / f"{manifest()['id']}-{manifest()['version']}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(_files()):
            entry = zipfile.ZipInfo(file.relative_to(ROOT).as_posix(), FILE_TIME)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, file.read_bytes(), zipfile.ZIP_DEFLATED)
        entry = zipfile.ZipInfo(HELP, FILE_TIME)
        entry.external_attr = 0o644 << 16
        archive.writestr(entry, page(), zipfile.ZIP_DEFLATED)
    _blender_tool("validate", str(path))
    return path


def manifest() -> dict[str, str]:
    """The extension's manifest, the only place that holds the version."""
    return tomllib.loads((ROOT / "blender_manifest.toml").read_text("utf-8"))


def _files() -> Iterator[Path]:
    """The files of CONTENTS; caches and hidden files are none."""
    for name in CONTENTS:
        for file in [ROOT / name] if (ROOT / name).is_file() else (ROOT / name).rglob("*"):
            parts = file.relative_to(ROOT).parts
            if file.is_file() and not any(part.startswith(".") or part == "__pycache__" for part in parts):
                yield file


def _blender_tool(*arguments: str) -> None:
    """Blender's `extension` command, a plain script that comes with the module."""
    module = find_spec("bpy")
    if module is None or module.origin is None:
        raise SetupError("Blender's module is not installed here: use `python3 packaging/dev.py zip`")
    (tool,) = Path(module.origin).parent.glob("*/scripts/addons_core/bl_pkg/cli/blender_ext.py")
    result = subprocess.run([sys.executable, str(tool), *arguments], capture_output=True, text=True)
    if result.returncode:
        raise SetupError(f"Blender's extension tool says to `{arguments[0]}`:\n{result.stdout}{result.stderr}")


if __name__ == "__main__":
    sys.exit(main())
