"""What CI installs: files known by their hashes, in the versions that are pinned."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ci.workflow_files import ROOT, sources

LISTS = sorted((ROOT / "requirements").glob("*.txt"))
each = pytest.mark.parametrize("file", LISTS, ids=lambda file: file.stem)


def pins(text: str) -> dict[str, str]:
    """Version of each package, by its name as an index spells it."""
    found = re.findall(r"^([\w.-]+)==([^\s;\\]+)", text, re.M)
    names = [re.sub(r"[-_.]+", "-", name).lower() for name, _ in found]
    assert len(set(names)) == len(names), "a package that is pinned twice"
    return dict(zip(names, (version for _, version in found), strict=True))


def entries(file: Path) -> Iterator[str]:
    """Each requirement with its continuation lines."""
    yield from file.read_text("utf-8").replace("\\\n", " ").splitlines()


def faults(entry: str) -> list[str]:
    """What keeps one entry from naming files by what is in them."""
    found = []
    name, *rest = re.split(r"\s+--hash=", entry.strip())
    if not rest:
        found.append("has no hash")
    if not re.fullmatch(r"[\w.-]+==[\w.!+]+( ; [\w\s.<>=!'()-]+)?", name):
        found.append("is no name with one version")
    if not all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest) for digest in rest):
        found.append("has a hash that is no SHA-256")
    return found


def test_there_is_a_list_for_running_one_for_testing_and_one_for_tools():
    assert [file.stem for file in LISTS] == ["run", "test", "tools"]


@each
def test_every_requirement_has_one_version_and_hashes_and_nothing_else_stands_there(file):
    assert [(entry, fault) for entry in entries(file) for fault in faults(entry)] == []


@pytest.mark.parametrize(
    "entry",
    [
        "torch==2.15.0",
        f"torch>=2.15 --hash=sha256:{'0' * 64}",
        "torch==2.15.0 --hash=md5:00",
        "--index-url https://example.org/simple",
        f"torch @ https://example.org/torch.whl --hash=sha256:{'0' * 64}",
    ],
)
def test_an_entry_that_could_be_anything_would_be_found(entry):
    assert faults(entry)


@pytest.mark.parametrize("name", ["run", "test"])
def test_the_versions_are_those_that_the_project_is_tested_with(name):
    stated = pins((ROOT / "constraints.txt").read_text("utf-8"))
    listed = pins((ROOT / "requirements" / f"{name}.txt").read_text("utf-8"))
    assert len(listed) > 40
    assert {package: stated.get(package) for package in listed} == listed


def test_every_dependency_is_in_the_lists():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = {"run": project["dependencies"], "test": project["optional-dependencies"]["test"]}
    for name, lines in wanted.items():
        listed = pins((ROOT / "requirements" / f"{name}.txt").read_text("utf-8"))
        asked = {re.split(r"[<>=!;\s]", line)[0].replace(".", "-").lower() for line in lines}
        assert asked <= set(listed)
    assert set(wanted["run"]).isdisjoint(wanted["test"])


def test_ci_installs_by_hash_alone():
    (tests,) = [source for source in sources() if source.name.endswith("/tests.yml")]
    for name in ("tests", "fuzz"):
        steps = [step.get("run", "") for step in tests.data["jobs"][name]["steps"]]
        commands = [step for step in steps if step]
        assert commands[0] == "make hashed"
        assert not any("pip" in step for step in commands)
    installs = re.findall(r"pip install .*", rule("hashed"))
    assert len(installs) == 2
    assert "--require-hashes -r requirements/test.txt" in installs[0]
    assert "--no-deps --no-build-isolation -e ." in installs[1]


def rule(target: str) -> str:
    """The commands of one target of the Makefile."""
    text = (ROOT / "Makefile").read_text("utf-8")
    found = re.search(rf"^{re.escape(target)}:.*\n((?:\t.*\n)+)", text, re.M)
    assert found
    return found[1]
