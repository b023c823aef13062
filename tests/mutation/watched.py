"""Which modules mistakes are put into, and where the tests are that should notice."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULES = {
    f"reportgen.{place}.{path.stem}": path
    for place in ("load", "write")
    for path in sorted((ROOT / "reportgen" / place).glob("*.py"))
    if path.stem != "__init__"
}
TESTS = ("tests/load", "tests/write", "tests/fuzz/test_target.py")
