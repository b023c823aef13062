"""`make zoo`: measures what is not measured yet, one row file each, and writes docs/zoo.md.

    python -m tests.zoo [NAME ...] [--minutes N] [--library timm]

Rows are kept under build/zoo/, so that a run that was ended goes on where it was.
"""

import argparse
import json
import time

from reportgen.errors import ReportgenError
from tests.zoo.members import Member, members
from tests.zoo.page import ROWS, written_page
from tests.zoo.row import Row, failures, row


def main() -> None:
    """Measures, then writes the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.zoo")
    parser.add_argument("names", nargs="*", help="measured anew, such as timm:convnext_atto")
    parser.add_argument("--minutes", type=float, help="begin no row after so long")
    parser.add_argument("--library", choices=("torchvision", "timm"))
    given = parser.parse_args()
    start = time.monotonic()
    ROWS.mkdir(parents=True, exist_ok=True)
    for member in sorted(members(), key=_cost):
        file = ROWS / f"{member.label.replace(':', '-')}.json"
        is_asked = member.label in given.names if given.names else not file.exists()
        if not is_asked or given.library not in (None, member.library):
            continue
        if given.minutes is not None and time.monotonic() - start > 60 * given.minutes:
            break
        made = _made(member)
        data = {"label": member.label, "error": made} if isinstance(made, str) else made.as_data()
        file.write_text(json.dumps(data), "utf-8")
        told = made if isinstance(made, str) else failures(made, member) or "all checks passed"
        print(f"{member.label}: {told}", flush=True)
    written_page()


def _cost(member: Member) -> float:
    """What comes first: the cheapest, so that a short run fills many rows."""
    return member.parameters * (1 if member.library == "torchvision" else 1e6)


def _made(member: Member) -> Row | str:
    try:
        return row(member)
    # The table is there to show what breaks: a network that fails is a row, too.
    except (ReportgenError, RuntimeError, ValueError, TypeError, NotImplementedError) as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


if __name__ == "__main__":
    main()
