"""Write the README's troubleshooting table anew from backend/core/errors.py: python3 packaging/error_table.py"""

from __future__ import annotations

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from backend.core.errors import CODES


def table() -> str:
    """One row a code: the code and what to do."""
    return "\n".join(f"| `{code}` | {advice} |" for code, (_, advice) in CODES.items())


if __name__ == "__main__":
    readme = Path(__file__).parents[1] / "README.md"
    text = readme.read_text("utf-8")
    rows = re.compile(r"(\| code \| what to do \|\n\|---\|---\|\n)(?:\|.*\n)*")
    readme.write_text(rows.sub(lambda found: found[1] + table() + "\n", text), "utf-8")
