"""The action, the workflows, and the workflows that the documents show, read from their files."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)


@dataclass(frozen=True)
class Source:
    """One file of YAML: its text and what it says."""

    name: str
    text: str
    data: Any

    @property
    def is_action(self) -> bool:
        return "runs" in self.data

    def places(self) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Every step, with the job (or the action) that it stands in."""
        jobs = [self.data["runs"]] if self.is_action else self.data["jobs"].values()
        for job in jobs:
            for step in job["steps"]:
                yield job, step


def parsed(name: str, text: str) -> Source:
    return Source(name, text, YAML(typ="safe").load(text))


def sources() -> list[Source]:
    files = [ROOT / "action.yml", *sorted((ROOT / ".github/workflows").glob("*.yml"))]
    found = [parsed(str(file.relative_to(ROOT)), file.read_text("utf-8")) for file in files]
    for page in sorted((ROOT / "docs").glob("*.md")):
        blocks = re.findall(r"^```yaml\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.M)
        found += [parsed(f"{page.name}-{n}", block) for n, block in enumerate(blocks, 1)]
    return found


def action() -> Source:
    return sources()[0]


def expressions(value: Any) -> Iterator[str]:
    """What stands between `${{` and `}}` anywhere in a part of a file."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from expressions(part)
    elif isinstance(value, str):
        yield from (found.strip() for found in EXPRESSION.findall(value))
