"""Mistakes that are none: the module does the same with them, so that no test can notice.

Each stands with the reason. A test fails for one whose line is no longer there.
"""

EQUIVALENT: dict[tuple[str, str, str], str] = {}
"By module without `reportgen.`, text of the line, and mistake."


def reason(module: str, line: str, mistake: str) -> str:
    """Why a mistake changes nothing; empty where it is not known to be so."""
    return EQUIVALENT.get((module.removeprefix("reportgen."), line.strip(), mistake), "")
