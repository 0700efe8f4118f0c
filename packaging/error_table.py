"""Write the part of docs/troubleshooting.md that lists the errors anew, from backend/core/errors.py:

python3 packaging/error_table.py
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from backend.core.errors import CODES

PAGE = Path(__file__).parents[1] / "docs" / "troubleshooting.md"
GROUPS = {
    2: "Requests",
    3: "What goes in: videos, takes, characters",
    4: "What comes out",
    5: "The set-up",
    1: "Bugs",
    130: "Ended by you",
}


def sections() -> str:
    """One heading for each group, in it one for each code with what to do."""
    parts = []
    for status, title in GROUPS.items():
        mine = {code: advice for code, (exit_status, advice) in CODES.items() if exit_status == status}
        if mine:
            parts.append(f"## {title}\n\nExit status of the command line: {status}.\n")
            parts += [f"### {code}\n{advice}\n" for code, advice in mine.items()]
    return "\n".join(parts)


def page(text: str) -> str:
    """The page with the list of errors as they are now."""
    return re.sub(
        r"(<!-- errors: .*?-->\n).*(<!-- end of errors -->)", lambda m: m[1] + sections() + m[2], text, flags=re.DOTALL
    )


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")
