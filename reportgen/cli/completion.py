"""`reportgen completion`: what makes a shell complete the command line."""

import os

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    add_completion_class,
    get_completion_class,
    split_arg_string,
)

from reportgen.cli.command import Command
from reportgen.cli.kinds import Choice

EXAMPLES = (
    'eval "$(reportgen completion bash)"   # a line for ~/.bashrc',
    'eval "$(reportgen completion zsh)"    # a line for ~/.zshrc',
    "reportgen completion fish > ~/.config/fish/completions/reportgen.fish",
)


@click.command(
    "completion",
    cls=Command,
    short_help="What makes a shell complete the command line.",
    examples=EXAMPLES,
    has_settings=False,
)
@click.argument("shell", type=Choice(("bash", "zsh", "fish")))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print what makes SHELL complete commands, flags, sections and architectures."""
    made = get_completion_class(shell)
    if made:
        click.echo(
            made(context.find_root().command, {}, "reportgen", "_REPORTGEN_COMPLETE").source()
        )


class Bash(BashComplete):
    """Completion for bash, which takes `--arch=torchvision:vgg16` for five words."""

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the one that is being typed, and that one."""
        place = int(os.environ["COMP_CWORD"])
        typed = [*os.environ["COMP_WORDS"].split("\n"), ""][: place + 1]
        words = [""]
        for word in typed[1:]:
            if word == ":" or words[-1].endswith(":"):
                words[-1] += word
            elif word != "=" or not words[-1].startswith("--"):
                words.append(word)
        *before, last = (" ".join(split_arg_string(word)) for word in words[1:])
        # bash puts what we answer behind the last colon.
        self._before_colon = last.rpartition(":")[0]
        return before, last

    def format_completion(self, item: CompletionItem[str]) -> str:
        """One answer, in the form that the script reads."""
        before = f"{self._before_colon}:" if self._before_colon else ""
        return f"{item.type},{item.value.removeprefix(before)}"


add_completion_class(Bash)
