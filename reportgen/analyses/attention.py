"""Which patches of an image a vision transformer looks at: its attention, and how it adds up."""

from dataclasses import dataclass

import numpy as np
import torch

from reportgen.analyses.answers import seen_photo
from reportgen.analyses.methods import Method
from reportgen.analyses.study import FOR_PICTURES, Analysis, Outcome, Study
from reportgen.analyses.targets import targets
from reportgen.figures.placing import smooth
from reportgen.probe.attention import Attended, attended, rollout
from reportgen.probe.layout import TokenGrid
from reportgen.probe.probe import Probe
from reportgen.report.arrays import FloatArray
from reportgen.report.blocks import Block, Heatmap, Photo
from reportgen.report.places import place_of
from reportgen.report.records import Fact, Image, Panel

SHOWN_HEADS = 16

Middles = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True, eq=False)
class Looks:
    """Where one image is looked at in the end."""

    seen: Attended
    tokens: TokenGrid
    rollout: FloatArray
    "(rows columns): share of each patch in what the score reads; less than one in all."
    heads: FloatArray
    "(heads rows columns): weights of the last layer for what the score reads."

    @property
    def maps(self) -> dict[str, tuple[str, FloatArray]]:
        """What is drawn, by name, with its title."""
        maps = {
            "rollout": ("attention rollout", self.rollout),
            "last": ("mean attention of the last layer", self.heads.mean(axis=0)),
        }
        for i, head in enumerate(self.heads[:SHOWN_HEADS]):
            maps[f"head_{i}"] = (f"head {i} of the last layer", head)
        return maps


def run(study: Study) -> Outcome:
    """One panel per pictured image with a finite answer; none without attention."""
    calls = study.evidence.calls
    if not any(
        "attention" in call.type.lower() or "softmax" in call.type.lower() for call in calls
    ):
        return Outcome()
    if study.loaded.takes_volumes:
        return Outcome(absent=FOR_PICTURES)
    pictured, explained = study.pictured, targets(study)
    panels = {}
    for done, index in enumerate(pictured, 1):
        image = study.image_records[index]
        pixels = study.images.normalise(study.images.pixels(index))
        seen = attended(study.probe, pixels, explained[index].index)
        looks = _looks(seen)
        if looks is not None:
            panels[image.slug] = _panel(study, image, looks, seen_photo(study, index))
        elif seen.problem:
            panels[image.slug] = Panel({"problem": seen.problem})
        else:
            return Outcome()
        if study.progress is not None:
            study.progress(done, len(pictured))
    return Outcome(panels)


def _looks(seen: Attended) -> Looks | None:
    """The rows of the tokens that the score reads, their mean where there are several."""
    tokens = seen.tokens
    if tokens is None:
        return None
    stop = tokens.before + tokens.rows * tokens.columns
    shape = (tokens.rows, tokens.columns)
    flow = rollout([layer.weights for layer in seen.layers])[seen.read].mean(axis=0)
    heads = seen.last[:, seen.read].mean(axis=1, dtype=np.float64)[:, tokens.before : stop]
    return Looks(
        seen,
        tokens,
        flow[tokens.before : stop].reshape(shape).astype(np.float32),
        heads.reshape(-1, *shape).astype(np.float32),
    )


def _panel(study: Study, image: Image, looks: Looks, photo: Photo) -> Panel:
    layer_of = study.layer_of
    size = (photo.pixels.height, photo.pixels.width)
    rows, columns = looks.rollout.shape
    row, column = divmod(int(looks.rollout.argmax()), columns)
    drawn = [values for _, values in looks.maps.values()]
    facts: dict[str, Fact] = {
        "problem": "",
        "layers": tuple(layer_of[layer.key].slug for layer in looks.seen.layers),
        "heads": len(looks.heads),
        "shown_heads": min(len(looks.heads), SHOWN_HEADS),
        "tokens": len(looks.seen.read),
        "rows": rows,
        "columns": columns,
        "read": int(looks.seen.read.sum()),
        "reader": _reader(looks),
        "rollout_share": float(looks.rollout.sum(dtype=np.float64)),
        "peak_row": row,
        "peak_column": column,
        "peak_place": place_of(((row + 0.5) / rows, (column + 0.5) / columns)),
        "low": tuple(float(values.min()) for values in drawn),
        "high": tuple(float(values.max()) for values in drawn),
        "spread": tuple(_spread(values) for values in drawn),
    }
    blocks: dict[str, Block] = {
        name: _block(image, title, values, photo, size)
        for name, (title, values) in looks.maps.items()
    }
    return Panel(facts, {"rollout": looks.rollout, "heads_array": looks.heads}, blocks)


def _reader(looks: Looks) -> str:
    """In words, whose rows of the weights are shown."""
    tokens, read = looks.tokens, looks.seen.read
    places = np.zeros(len(read), bool)
    places[tokens.before : tokens.before + tokens.rows * tokens.columns] = True
    count = int(read.sum())
    if not (read & places).any():
        return "the class token" if count == 1 else f"the mean of {count} class tokens"
    return f"the mean of {count} " + ("patches" if not (read & ~places).any() else "tokens")


def _spread(values: FloatArray) -> float:
    """Over how many positions weights are spread: the exponential of their entropy."""
    shares = values.ravel().astype(np.float64)
    shares = shares[shares > 0] / shares.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def _middles(grid: tuple[int, int], size: tuple[int, int]) -> Middles:
    """Pixels (down, across) at the middle of the first and the last of evenly spread patches."""
    top, left = ((pixels / count - 1) / 2 for pixels, count in zip(size, grid, strict=True))
    return (top, left), (size[0] - 1 - top, size[1] - 1 - left)


def _block(
    image: Image, title: str, values: FloatArray, photo: Photo, size: tuple[int, int]
) -> Heatmap:
    rows, columns = values.shape
    low, high = float(values.min()), float(values.max())
    text = f"{title.capitalize()} for {image.path}, {rows} x {columns} patches, from {low:.3g} to "
    text += f"{high:.3g}."
    step = (max(1, size[0] // rows), max(1, size[1] // columns))
    return Heatmap(
        values=values,
        title=f"{image.path}: {title}",
        unit="share of attention",
        signed=False,
        over=photo,
        alt=text,
        caption=text,
        window=step,
        stride=step,
        middles=_middles((rows, columns), size),
        for_print=False,
    )


def rollout_map(study: Study, probe: Probe, image: torch.Tensor, target: int) -> FloatArray | None:
    """Attention rollout over the pixels (height width), as `methods.MapOf` says."""
    looks = _looks(attended(probe, image, target))
    if looks is None:
        return None
    size = (image.shape[-2], image.shape[-1])
    grid = (looks.tokens.rows, looks.tokens.columns)
    return smooth(looks.rollout, _middles(grid, size), size)


METHODS = (Method("attention_rollout", "Attention rollout", "attention", rollout_map, passes=4),)

ANALYSIS = Analysis(
    name="attention",
    title="Attention",
    place="image",
    run=run,
    references=(
        "Abnar, Zuidema: Quantifying Attention Flow in Transformers. ACL, 2020.",
        "Dosovitskiy et al.: An Image is Worth 16x16 Words: Transformers for Image Recognition at "
        "Scale. ICLR, 2021.",
    ),
)
