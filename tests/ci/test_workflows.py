"""The action and the workflows are valid, take no value for code, and ask for little."""

import re
import shutil
import subprocess
import sys

import pytest

from tests.ci.workflow_files import EXPRESSION, Source, action, expressions, sources

SOURCES = sources()
WORKFLOWS = [source for source in SOURCES if not source.is_action]
each = pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
each_workflow = pytest.mark.parametrize("source", WORKFLOWS, ids=lambda source: source.name)

CONTEXTS = {"inputs", "steps", "needs", "env", "github", "hashFiles", "cancelled", "runner"}
TRUSTED = {"github.ref", "github.event_name", "github.repository_owner", "github.sha"}
TRUSTED |= {"github.event.repository.name", "github.base_ref", "github.event.number"}
"What nobody who opens a pull request can write into, or only through git's own rules."


def scripts(source: Source) -> list[tuple[dict, str]]:
    return [(step, step["run"]) for _, step in source.places() if "run" in step]


def test_there_are_an_action_and_workflows_and_examples():
    names = {source.name for source in SOURCES}
    assert {"action.yml", ".github/workflows/tests.yml", ".github/workflows/pages.yml"} <= names
    assert any(name.startswith("ci.md") for name in names)


@pytest.mark.parametrize("kind", ["github-actions", "github-workflows"])
def test_the_schema_of_github_is_kept(kind, tmp_path):
    files = [tmp_path / f"{number}.yml" for number in range(len(SOURCES))]
    chosen = []
    for source, file in zip(SOURCES, files, strict=True):
        file.write_text(source.text, "utf-8")
        if source.is_action == (kind == "github-actions"):
            chosen.append(file)
    words = ["-m", "check_jsonschema", "--builtin-schema", f"vendor.{kind}", *chosen]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    assert chosen and done.returncode == 0, done.stdout + done.stderr


@each
def test_no_value_is_spliced_into_a_script(source):
    for step, script in scripts(source):
        assert "${{" not in script, step


@each
def test_actions_of_others_are_pinned_by_commit_and_say_their_version(source):
    uses = re.findall(r"uses: +(\S+)(.*)", source.text)
    assert len(uses) == sum("uses" in step for _, step in source.places())
    for name, rest in uses:
        if name != "./" and not name.startswith("OWNER/"):
            assert re.fullmatch(r"[\w-]+(/[\w-]+)+@[0-9a-f]{40}", name), name
            assert re.fullmatch(r" # v\d+\.\d+\.\d+", rest), name


def test_one_action_is_one_commit_everywhere():
    pins = {}
    for source in SOURCES:
        found = re.findall(r"uses: ([\w-]+/[\w-]+)\S*@(\w{40}) # (\S+)", source.text)
        for name, commit, version in found:
            assert pins.setdefault(name, (commit, version)) == (commit, version), name
    assert len(pins) >= 5


@each
def test_expressions_name_what_there_is(source):
    for job, step in source.places():
        ids = {other["id"] for other in job["steps"] if "id" in other}
        at = {key: value for key, value in step.items() if key != "run"}
        conditions = f"${{{{ {step.get('if', '')} }}}}"
        for text in [*expressions(at), *expressions(conditions)]:
            words = re.sub(r"'[^']*'", "", text)
            for name in re.findall(r"\binputs\.([\w-]+)", words):
                assert source.is_action and name in source.data["inputs"], text
            for name, field in re.findall(r"\bsteps\.([\w-]+)\.(\w+)", words):
                assert name in ids and field in {"outputs", "outcome", "conclusion"}, text
            for name in re.findall(r"(?<![.\w-])([a-zA-Z]\w*)(?=[.(])", words):
                assert name in CONTEXTS, text
            for name in re.findall(r"\bgithub(?:\.\w+)+", words):
                assert name in TRUSTED, f"{name} is written by others"


@each
def test_brackets_of_expressions_close(source):
    assert source.text.count("${{") == len(EXPRESSION.findall(source.text))


@each
def test_scripts_read_only_variables_that_their_step_states(source):
    for step, script in scripts(source):
        given = set(step.get("env", {})) | set(re.findall(r"\b(\w+)=", script))
        given |= set(re.findall(r"\bread (?:-r )?(\w+)", script))
        for name in re.findall(r"\$\{?([A-Za-z_]\w*)", script):
            assert name in given or name.startswith("GITHUB_"), f"{name} in {step}"
        assert all(
            f"${name}" in script or f"${{{name}" in script or f'"{name}"' in script
            for name in step.get("env", {})
        ), "a variable that nothing reads"


@each_workflow
def test_rights_are_stated_and_few(source):
    rights = source.data["permissions"]
    assert rights == {"contents": "read"}
    for name, job in source.data["jobs"].items():
        asked = job.get("permissions", {})
        if name == "deploy":
            assert asked == {"pages": "write", "id-token": "write"}
        else:
            assert set(asked.values()) <= {"read"}, name
        assert job["timeout-minutes"] <= 90, name


@each_workflow
def test_no_token_is_left_in_the_checkout(source):
    for _, step in source.places():
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@each_workflow
def test_our_action_is_given_what_it_takes(source):
    inputs = action().data["inputs"]
    needed = {name for name, given in inputs.items() if given.get("required")}
    for _, step in source.places():
        if step.get("uses", "").startswith(("./", "OWNER/")):
            assert needed <= set(step["with"]) <= set(inputs)


@each_workflow
def test_outputs_of_our_action_are_outputs_of_our_action(source):
    outputs = set(action().data["outputs"])
    for job in source.data["jobs"].values():
        ours = {s["id"] for s in job["steps"] if s.get("uses", "")[:2] in {"./", "OW"} if "id" in s}
        for name, output in re.findall(r"steps\.([\w-]+)\.outputs\.([\w-]+)", str(job)):
            assert name not in ours or output in outputs, output


def test_a_deployment_is_not_cancelled_halfway():
    (pages,) = [source for source in SOURCES if source.name.endswith("/pages.yml")]
    assert pages.data["concurrency"] == {"group": "pages", "cancel-in-progress": False}
    deploy = pages.data["jobs"]["deploy"]
    assert deploy["environment"]["name"] == "github-pages"
    assert deploy["needs"] == "build"


def test_inputs_and_outputs_are_in_kebab_case_and_described():
    data = action().data
    for name, given in (data["inputs"] | data["outputs"]).items():
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", name)
        assert given["description"].endswith(".") or given["description"].endswith("false.")
    for name, given in data["inputs"].items():
        assert given.get("required") or isinstance(given["default"], str), name
        assert f"inputs.{name}" in action().text, f"nothing reads {name}"


def test_every_script_of_the_action_states_its_shell():
    assert {step["shell"] for step, _ in scripts(action())} == {"bash"}


@each
def test_the_shell_has_nothing_to_say(source, tmp_path):
    """bash reads every script; shellcheck, where it is there, looks for what bash lets pass."""
    checker = shutil.which("shellcheck")
    for number, (step, script) in enumerate(scripts(source)):
        file = tmp_path / f"{number}.sh"
        file.write_text(f"#!/bin/bash\n{script}", "utf-8")
        tools = [["bash", "-n"]] + ([[checker, "--severity=style"]] if checker else [])
        for tool in tools:
            done = subprocess.run([*tool, file], capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{step.get('name')}\n{done.stdout}{done.stderr}"
