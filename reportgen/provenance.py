"""What it takes to make a report again: versions, options, the hash of every file that was read."""

import hashlib
import platform
from importlib.metadata import version

from reportgen import __version__
from reportgen.options import Options
from reportgen.report.records import Provenance

VERSIONS_SHOWN = ("torch", "torchvision", "numpy", "pillow", "matplotlib", "seaborn")


def provenance(options: Options, command: str, device: str, batch_size: int) -> Provenance:
    """The record of a run; neither a folder of this machine nor a time is in it.

    Args:
        options: what was asked for.
        command: what makes the same report again.
        device: name of what the network ran on.
        batch_size: images at a time, as it was in the end.
    """
    return Provenance(
        reportgen=__version__,
        command=command,
        versions=(
            ("python", platform.python_version()),
            *((name, version(name)) for name in VERSIONS_SHOWN),
        ),
        options=tuple((name, " ".join(words)) for name, words in options.changed()),
        device=device,
        batch_size=batch_size,
        seed=options.seed,
        files=tuple(
            (file.name, hashlib.sha256(file.read_bytes()).hexdigest())
            for file in options.read_beside()
        ),
        config=options.digest(),
    )
