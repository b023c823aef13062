"""Measures every topic, each in its own process, and writes the tables to `RESULTS.md`.

    python -m benchmarks [topics] [--quick] [--cpu]

A topic that is measured alone replaces its own table only, and one that fails keeps the rows it
had and says how it ended.
"""

import argparse
import re
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.table import machine

RESULTS = Path(__file__).parent / "RESULTS.md"

TOPICS = {
    "occlusion": "Occlusion",
    "statistics": "Statistics and strongest images",
    "strongest": "Strongest nine images",
    "gradients": "Gradients",
    "redundancy": "Look-alikes",
    "rendering": "Pictures",
    "whole": "The whole report",
    "start": "Cold start",
    "memory": "Memory",
    "many": "Ten thousand images",
    "gpu": "On a GPU",
}
"By name of the module: its title in the results."

HEAD = """# Benchmarks

`make bench` measures this (`make bench TOPIC=occlusion` one table of it). Each ratio is taken
inside one process, with both sides in turns: the median, and the range of the rounds; commands and
their memory are measured in new processes. A bar of `<=` is a cost in units of what stands under
"against", one of `>=` how many times less ours takes.
"""


def main() -> None:
    """Runs the topics that are asked for, in the order of the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("topics", nargs="*", help=f"of {', '.join(TOPICS)}; all without")
    parser.add_argument("--quick", action="store_true", help="fewer networks and rounds")
    parser.add_argument("--cpu", action="store_true", help="one thread, processor time")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS)
    given = parser.parse_args()
    unknown = set(given.topics) - set(TOPICS)
    if unknown:
        parser.error(f"there is no topic {', '.join(sorted(unknown))}; {', '.join(TOPICS)}")
    flags = [f"--{name}" for name in ("quick", "cpu") if getattr(given, name)]
    failed = []
    for topic in given.topics or TOPICS:
        start = time.monotonic()
        table, ok = measured(topic, flags)
        if not ok:
            failed.append(topic)
        known = given.output.read_text(encoding="utf-8") if given.output.exists() else ""
        heading = f"{_when()}; {time.monotonic() - start:.0f} s. {machine()}"
        given.output.write_text(replaced(known, topic, f"{heading}\n\n{table}"), encoding="utf-8")
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


def measured(topic: str, flags: list[str]) -> tuple[str, bool]:
    """What a topic prints, which is shown as it comes too, and whether it came to its end."""
    command = [sys.executable, "-u", "-m", f"benchmarks.{topic}", *flags]
    lines = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    if process.returncode:
        lines.append(f"\nEnded early, with exit code {process.returncode}.\n")
    return "".join(lines).strip(), not process.returncode


def replaced(known: str, topic: str, body: str) -> str:
    """The results with the part of one topic put in place of what it said before."""
    parts = dict(re.findall(r"<!-- (\w+) -->\n(.*?)<!-- end -->", known, flags=re.DOTALL))
    parts[topic] = f"\n## {TOPICS[topic]}\n\n{body}\n\n"
    ordered = [f"<!-- {name} -->\n{parts[name]}<!-- end -->\n" for name in TOPICS if name in parts]
    return f"{HEAD}\n" + "\n".join(ordered)


def _when() -> str:
    root = Path(__file__).parent.parent
    told = ["git", "-C", str(root)]
    try:
        commit = subprocess.check_output([*told, "rev-parse", "--short", "HEAD"], text=True).strip()
        changed = subprocess.check_output([*told, "status", "--porcelain", "reportgen"], text=True)
    except (OSError, subprocess.CalledProcessError):
        commit, changed = "no commit", ""
    return f"{datetime.now(UTC):%Y-%m-%d}, {commit}{' with changes' if changed else ''}"


if __name__ == "__main__":
    main()
