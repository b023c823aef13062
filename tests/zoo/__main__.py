"""`make zoo`: measures what is not measured yet, one row file each, and writes docs/zoo.md.

    python -m tests.zoo [NAME ...] [--minutes N]

Rows are kept under build/zoo/, so that a run that was ended goes on where it was.
"""

import argparse
import json
import time

from reportgen.figures import press
from tests.zoo.members import Member, is_first, members
from tests.zoo.page import ROWS, file_of, measured, written_page
from tests.zoo.row import Row, failures, row, usually_left_out


def main() -> None:
    """Measures, then writes the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.zoo")
    parser.add_argument("names", nargs="*", help="measured anew, such as timm:convnext_atto")
    parser.add_argument("--minutes", type=float, help="begin no row after so long")
    given = parser.parse_args()
    start = time.monotonic()
    ROWS.mkdir(parents=True, exist_ok=True)
    # A worker for each report would spend more on its start than on its few figures.
    press.MOST_WORKERS = 0
    for member in sorted(members(), key=_cost):
        if member.label not in given.names if given.names else member.label in measured():
            continue
        if given.minutes is not None and time.monotonic() - start > 60 * given.minutes:
            break
        made = _made(member)
        file = file_of(member)
        data = {"label": member.label, "error": made} if isinstance(made, str) else made.as_data()
        file.write_text(json.dumps(data), "utf-8")
        told = made if isinstance(made, str) else failures(made, member) or "all checks passed"
        print(f"{member.label}: {told}", flush=True)
    written_page()


def _cost(member: Member) -> tuple[bool, float]:
    """What comes first: one of each family, the cheapest, so that a short run covers the most."""
    runs_whole = member.task == "detect"  # once at the published size, for its multiplications
    return not is_first(member), member.millions + runs_whole * member.gmacs


def _made(member: Member) -> Row | str:
    try:
        return row(member, usually_left_out(member))
    # The table is there to show what breaks: a network that fails, however it does, is a row.
    except Exception as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


if __name__ == "__main__":
    main()
