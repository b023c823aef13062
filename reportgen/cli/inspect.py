"""`reportgen inspect`: what a model file is."""

from pathlib import Path

import click

from reportgen.cli.command import Command
from reportgen.cli.flags import MODEL
from reportgen.cli.groups import PATH, flags

EXAMPLES = (
    "reportgen inspect model.pth",
    "reportgen inspect checkpoint.pt --weights-key ema",
    "reportgen inspect lenet.pth --arch lenet.py:LeNet",
)


@click.command("inspect", cls=Command, short_help="What a model file is.", examples=EXAMPLES)
@click.argument("model", type=PATH)
@flags(MODEL)
def command(model: Path, arch: str, arch_args: str, weights_key: str) -> None:
    """Say what MODEL is: its format, its architecture and what was undone to load it."""
    from reportgen.load.model import load_model

    loaded = load_model(model, arch=arch, arch_args=arch_args, weights_key=weights_key)
    parameters = sum(parameter.numel() for parameter in loaded.module.parameters())
    facts = {
        "file": loaded.file,
        "sha256": loaded.sha256,
        "format": f"{loaded.format}, {loaded.dtype}",
        "architecture": f"{loaded.architecture} ({loaded.architecture_source})",
        "parameters": f"{parameters:,}",
        "input": f"{loaded.in_channels} channels"
        + (", volumes or videos" if loaded.takes_volumes else ""),
        "labels": loaded.labels_source or "not known",
    }
    for name, value in facts.items():
        click.echo(f"{name:14}{value}")
    for note in loaded.notes:
        click.echo(f"{'note':14}{note}")
