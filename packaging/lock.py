"""Resolve the dependency groups of pyproject.toml into packaging/locks (exact versions and hashes, every platform).

Run after changing a group, with uv on the path: python3 packaging/lock.py [GROUP ...]
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import zipfile
from email.parser import Parser
from pathlib import Path

LOCKS = Path("packaging/locks")
# Group -> groups whose versions it takes over.
GROUPS = {
    "default": (),
    "interpreter": (),
    "gpu": ("default",),
    "yolo": ("default", "gpu"),
    "rtmpose": ("default", "gpu"),
    "dev": ("default",),
}
ADDED = ("gpu", "yolo", "rtmpose")  # added to an environment that has the groups which they build on
DESCRIBED = ("default", *ADDED)
# What a wheel's metadata does not say about what is inside it.
LICENCES = {
    "av": "BSD-3-Clause, with FFmpeg under the GPL",
    "torch": "BSD-3-Clause",
    "cuda-toolkit": "LicenseRef-NVIDIA-Proprietary",
    "addict": "MIT",
    "json-tricks": "BSD-3-Clause",
}


def main() -> None:
    """Write one lock per group, or of those that are named, and what the set-up tells about it."""
    root = Path(__file__).parents[1]
    for group in sys.argv[1:] or GROUPS:
        lock, below = LOCKS / f"{group}.txt", [LOCKS / f"{name}.txt" for name in GROUPS[group]]
        command = ["uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes"]
        command += ["--no-header", "--no-annotate", "--group", group, "--output-file", str(lock)]
        command += [part for path in (LOCKS / "constraints.txt", *below) for part in ("--constraints", str(path))]
        subprocess.run(command, check=True, cwd=root)
        if group in ADDED:
            (root / lock).write_text(
                _without((root / lock).read_text("utf-8"), [root / path for path in below]), "utf-8"
            )
        if group in DESCRIBED:
            describe(root / lock)


def _without(lock: str, others: list[Path]) -> str:
    """A lock without the packages that are in other locks."""
    there = {_name(entry) for path in others for entry in _entries(path.read_text("utf-8"))}
    return "".join(entry for entry in _entries(lock) if _name(entry) not in there)


def _entries(lock: str) -> list[str]:
    return re.findall(r"^\S.*\n(?:[ ].*\n)*", lock, re.MULTILINE)


def _name(entry: str) -> str:
    return entry.partition("==")[0]


def describe(lock: Path) -> None:
    """Write sizes and licences of a lock's packages beside it: what the set-up tells before it fetches anything."""
    packages = {}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "--no-deps"]
        subprocess.run([*command, "--dest", folder, "-r", str(lock)], check=True)
        for wheel in sorted(Path(folder).glob("*.whl")):
            with zipfile.ZipFile(wheel) as archive:
                (metadata,) = (
                    name for name in archive.namelist() if name.endswith(".dist-info/METADATA") and name.count("/") == 1
                )
                told = Parser().parsestr(archive.read(metadata).decode("utf-8"))
                name = told["Name"].replace("_", "-").replace(".", "-").lower()
                packages[name] = {
                    "download": wheel.stat().st_size,
                    "installed": sum(entry.file_size for entry in archive.infolist()),
                    "licence": LICENCES.get(name) or _licence(told),
                }
    lock.with_suffix(".json").write_text(json.dumps({"packages": packages}, indent=1) + "\n", "utf-8")


def _licence(told) -> str:
    """As short as the metadata has it; some packages put the whole text into the old field."""
    short = told["License-Expression"] or told["License"] or ""
    if 0 < len(short) < 40:
        return short
    named = [line.rpartition(" :: ")[2] for line in told.get_all("Classifier", []) if line.startswith("License ::")]
    return ", ".join(named) or "see the package"


if __name__ == "__main__":
    main()
