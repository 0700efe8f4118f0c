"""Resolve the dependency groups of pyproject.toml into packaging/locks (exact versions and hashes, every platform).

Run after changing a group, with uv on the path: python3 packaging/lock.py
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import zipfile
from email.parser import Parser
from pathlib import Path

LOCKS = Path("packaging/locks")
# The others depend on the machine's graphics card and are left to the user.
GROUPS = ("default", "interpreter", "dev")
# What a wheel's metadata does not say about what is inside it.
LICENCES = {"av": "BSD-3-Clause, with FFmpeg under the GPL"}


def main() -> None:
    """Write one lock per group; `dev` takes over the versions of `default`."""
    for group in GROUPS:
        constraints = [LOCKS / "constraints.txt"] + [LOCKS / "default.txt"] * (group == "dev")
        command = ["uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes"]
        command += ["--no-header", "--no-annotate", "--group", group, "--output-file", str(LOCKS / f"{group}.txt")]
        command += [part for path in constraints for part in ("--constraints", str(path))]
        subprocess.run(command, check=True, cwd=Path(__file__).parents[1])
    describe(Path(__file__).parents[1] / LOCKS / "default.txt")


def describe(lock: Path) -> None:
    """Write sizes and licences of a lock's packages beside it: what the set-up tells before it fetches anything."""
    packages = {}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "--no-deps"]
        subprocess.run([*command, "--dest", folder, "-r", str(lock)], check=True)
        for wheel in sorted(Path(folder).glob("*.whl")):
            with zipfile.ZipFile(wheel) as archive:
                (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
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
