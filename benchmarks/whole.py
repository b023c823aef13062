"""What a whole report of ResNet-50 on eight images costs: over its floor, and against a script.

The floor is what no report of this content can do without: the plain forward passes of its images,
the time inside the occlusion engine, and the encoding of the pictures that stand in it. With all
sections it also counts every pass that they ask of the network, at what such a pass costs with
nothing around it. The script is what a user would write: Captum's occlusion, torchcam, one subplot
a channel, `plt.hist`.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.measured import Built, built, encoding_seconds, photos, report_options, saved_net
from benchmarks.peers import CHANNELS, Scripted, scripted
from benchmarks.table import Row, ratio_of, run, seconds
from reportgen.allocator import keep_freed_memory
from reportgen.load.model import load_model

TUTORIAL = ("activations", "kernels", "weights", "occlusion", "gradcam", "dead_filters")
"Sections with the content of the usual tutorials."


def rows(quick: bool) -> Iterator[Row | str]:
    """Over the floor for a tutorial's content and for all of it, then against a script."""
    keep_freed_memory()
    name, count, rounds = ("resnet18", 3, 1) if quick else ("resnet50", 8, 5)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        images = photos(root / "photos", count)
        options = report_options(root, saved_net(root, name, images), images)
        some = replace(options, sections=TUTORIAL)
        built(replace(some, max_images=1))
        net = load_model(options.model).module
        batch = torch.stack(images)
        reports: list[Built] = []
        floors: list[float] = []
        scripts: list[Scripted] = []
        for _ in range(rounds):
            reports.append(built(some))
            floors.append(floor(net, batch, reports[-1], options.output))
            scripts.append(scripted(net, images))
        pairs = [(made.seconds, least) for made, least in zip(reports, floors, strict=True)]
        found = ratio_of(pairs)
        yield Row(
            f"{name}, {count} images, a tutorial's content ({', '.join(TUTORIAL)})",
            f"{found.ours:.1f} s, of which {reports[-1].occlusion:.1f} s in the occlusion engine",
            f"plain forwards, that engine's time, pictures encoded: {found.theirs:.1f} s",
            found,
            at_most=1.5,
        )
        pairs = [
            (made.seconds, script.total) for made, script in zip(reports, scripts, strict=True)
        ]
        found = ratio_of(pairs)
        yield Row(
            f"{name}, {count} images, the same content",
            f"{found.ours:.1f} s",
            f"Captum, torchcam, subplots, plt.hist: {found.theirs:.0f} s (scaled, see below)",
            found.faster,
            at_least=8,
        )
        yield (
            f"The script in the last round: {scripts[-1]}. Scaled by counting from a part that was "
            f"measured: occlusion by positions, subplots by channels (at most {CHANNELS} a layer, "
            "where ours shows all), histograms by parameters."
        )
        yield _profile("A tutorial's content", reports[-1])
        # Minutes for one: a single round.
        every = built(options)
        passes = every.passes.seconds(net, images[0])
        least = floor(net, batch, every, options.output) + passes
        found = ratio_of([(every.seconds, least)])
        yield Row(
            f"{name}, {count} images, all sections",
            f"{found.ours:.1f} s, of which {every.occlusion:.1f} s in the occlusion engine",
            f"as above, and {every.passes}, which cost {passes:.1f} s alone: {found.theirs:.1f} s",
            found,
            at_most=1.5,
        )
        yield _profile("All sections", every)


def floor(net: torch.nn.Module, batch: torch.Tensor, made: Built, site: Path) -> float:
    """Seconds that the content of a report takes at least, occlusion as measured inside of it."""

    def forward() -> None:
        with torch.no_grad():
            net(batch)

    return seconds(forward) + made.occlusion + encoding_seconds(site)


def _profile(title: str, made: Built) -> str:
    lines = "\n".join(made.profile)
    return f"{title}, `--profile` of the last round:\n\n```\n{lines}\n```"


if __name__ == "__main__":
    run(rows)
