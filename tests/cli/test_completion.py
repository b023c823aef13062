"""Completion, asked for by a real bash as it asks when Tab is pressed."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reportgen.cli.kinds import architecture_names
from tests.cli.conftest import Run

BASH = shutil.which("bash")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the command `reportgen` and what `reportgen completion bash` prints."""
    folder = tmp_path_factory.mktemp("bin")
    command = folder / "reportgen"
    command.write_text(
        f"#!/bin/sh\nPYTHONPATH={shlex.quote(str(ROOT))} "
        f'exec {shlex.quote(sys.executable)} -m reportgen "$@"\n'
    )
    command.chmod(0o755)
    printed = subprocess.run([command, "completion", "bash"], capture_output=True, check=True)
    (folder / "completion.bash").write_bytes(printed.stdout)
    return folder


def completed(script: Path, *words: str) -> list[str]:
    """What bash would offer for the last of some words."""
    ask = f"""
        source {shlex.quote(str(script / "completion.bash"))}
        complete -p reportgen >&2
        compopt() {{ echo "files: $1 $2"; }}  # which bash refuses outside of a real Tab
        COMP_WORDS=({shlex.join(("reportgen", *words))}) COMP_CWORD={len(words)}
        _reportgen_completion reportgen
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    environment = os.environ | {"PATH": f"{script}{os.pathsep}{os.environ['PATH']}"}
    assert BASH
    done = subprocess.run(
        [BASH, "--norc", "-c", ask], capture_output=True, text=True, check=True, env=environment
    )
    assert "-F _reportgen_completion reportgen" in done.stderr
    return done.stdout.split("\n")[:-1]


@pytest.mark.skipif(not BASH, reason="there is no bash here")
@pytest.mark.parametrize(
    ("words", "answers"),
    [
        (["c"], ["compare", "channels", "check", "completion"]),
        (["build", "--occlusion-f"], ["--occlusion-fill"]),
        (["build", "--occlusion-engine", ""], ["exact", "fast", "plain"]),
        (["build", "--occlusion-fill", "b"], ["black", "blur"]),
        (["build", "m.pth", "--sections", "grad"], ["gradcam", "gradient_flow", "gradients"]),
        (["build", "--exclude", "trust,gradi"], ["trust,gradient_flow", "trust,gradients"]),
        (["inspect", "m.pth", "--arch", "vgg11"], ["torchvision:vgg11", "torchvision:vgg11_bn"]),
        # bash takes the colon for a word of its own, and what we answer for what is behind it.
        (["build", "--arch", "torchvision", ":", "vgg11"], ["vgg11", "vgg11_bn"]),
        (["build", "--arch", "=", "torchvision", ":", "vgg11"], ["vgg11", "vgg11_bn"]),
        (["build", "--labels", "im"], ["imagenet"]),
        (["build", ""], ["files: -o default", ""]),
        (["build", "m.pth", "--arch", ""], ["files: -o default", ""]),
        (["completion", "z"], ["zsh"]),
    ],
)
def test_bash_offers(words: list[str], answers: list[str], script: Path) -> None:
    assert sorted(completed(script, *words)) == sorted(answers)


@pytest.mark.skipif(not BASH, reason="there is no bash here")
def test_bash_offers_every_architecture_behind_the_colon(script: Path) -> None:
    offered = completed(script, "build", "--arch", "torchvision", ":")
    assert offered == list(architecture_names())
    assert len(offered) >= 80


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(shell: str, run: Run) -> None:
    told = run("completion", shell)
    assert told.code == 0
    assert f"_REPORTGEN_COMPLETE={shell}_complete" in told.out
    found = shutil.which(shell)
    if found:
        subprocess.run([found, "-n"], input=told.out, text=True, check=True)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_are_answered_in_their_form(shell: str, script: Path) -> None:
    words = "reportgen build --sections gradi"
    environment = os.environ | {
        "_REPORTGEN_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": "3" if shell == "zsh" else "gradi",
    }
    done = subprocess.run(
        [script / "reportgen"], capture_output=True, text=True, check=True, env=environment
    )
    assert "gradient_flow" in done.stdout and "gradients" in done.stdout
    assert "gradcam" not in done.stdout


@pytest.mark.skipif(not shutil.which("fish"), reason="there is no fish here")
def test_a_real_fish_offers_the_same(script: Path) -> None:
    ask = "reportgen completion fish | source; complete -C 'reportgen build --sections gradi'"
    environment = os.environ | {
        "PATH": f"{script}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(script),
    }
    done = subprocess.run(
        ["fish", "--no-config", "-c", ask],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert sorted(done.stdout.split()) == ["gradient_flow", "gradients"]
