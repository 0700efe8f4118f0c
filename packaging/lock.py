"""Resolve the dependency groups of pyproject.toml into packaging/locks (exact versions and hashes, every platform).

Run after changing a group, with uv on the path: python3 packaging/lock.py
"""

from __future__ import annotations

import subprocess
from pathlib import Path

LOCKS = Path("packaging/locks")
GROUPS = ("default", "dev")  # the others depend on the machine's graphics card and are left to the user


def main() -> None:
    """Write one lock per group; `dev` takes over the versions of `default`."""
    for group in GROUPS:
        constraints = [LOCKS / "constraints.txt"] + [LOCKS / "default.txt"] * (group != "default")
        command = ["uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes"]
        command += ["--no-header", "--no-annotate", "--group", group, "--output-file", str(LOCKS / f"{group}.txt")]
        command += [part for path in constraints for part in ("--constraints", str(path))]
        subprocess.run(command, check=True, cwd=Path(__file__).parents[1])


if __name__ == "__main__":
    main()
