"""Maps of what happens to a score when a place is hidden."""

import numpy as np

from reportgen.render.captions.grids import Grid, grid_of
from reportgen.render.captions.phrases import amount, at_most, capital, part_of
from reportgen.render.filters import plural
from reportgen.report.arrays import Array
from reportgen.report.blocks import Heatmap
from reportgen.report.records import Image

SMALLEST = 0.01
"In probability and in logit: what changes by less shows nothing."

NEARLY = 0.8
"Share of the largest fall from which on another place costs nearly as much."


def caption(block: Heatmap, label: str) -> str:
    """Where the score of `label` falls most, by how much, and by how much elsewhere.

    Args:
        block: of clean minus occluded scores.
        label: the class that is explained.
    """
    grid = grid_of(block)
    if not grid.size:
        return "No position gives a finite score, so there is nothing to see."
    score = f"the {block.unit} of {label}"
    parts = [_fall(grid, score, block.unit), _rise(grid, block.unit)]
    if grid.left_out:
        parts.append(f"{plural(grid.left_out, 'position')} without a finite score: left out.")
    return " ".join(filter(None, parts))


def _fall(grid: Grid, score: str, unit: str) -> str:
    best, place = grid.peak
    if best < SMALLEST:
        return _no_fall(grid, score, unit)
    if grid.size == 1:
        return f"Hiding the one position lowers {score} by {amount(best, unit)}."
    text = f"{capital(score)} falls most, by {amount(best, unit)}, when the {place} is hidden"
    other = grid.elsewhere(place)
    if other is None:
        text += "."
    elif other[0] <= 0:
        text += "; hiding any other part does not lower it."
    elif other[0] >= NEARLY * best:
        near = "as much" if other[0] == best else f"nearly as much, {amount(other[0], unit)},"
        text += f", and {near} when the {other[1]} is hidden."
    else:
        text += f"; elsewhere by {at_most(other[0], unit)}."
    half = int((grid.values >= best / 2).sum())
    if half == 1:
        return f"{text} No other position costs even half of that."
    return f"{text} {capital(part_of(half, grid.size, 'position'))} cost half of that or more."


def _no_fall(grid: Grid, score: str, unit: str) -> str:
    best, lowest = grid.peak[0], grid.lowest[0]
    largest = max(best, -lowest)
    if largest == 0:
        return f"Nothing to see: whatever is hidden, {score} stays the same."
    if largest < SMALLEST:
        return f"Nothing to see: hiding a part changes {score} by {at_most(largest, unit)}."
    if best <= 0:
        return f"Hiding no part lowers {score}."
    return f"Hiding a part lowers {score} by {at_most(best, unit)}."


def _rise(grid: Grid, unit: str) -> str:
    lowest, place = grid.lowest
    if lowest > -SMALLEST:
        return ""
    best, peak = grid.peak
    if place == peak and best >= SMALLEST:
        return f"Another position there raises it by {amount(-lowest, unit)}."
    return f"Hiding the {place} raises it by up to {amount(-lowest, unit)}."


def flips(image: Image, answers: Array) -> str:
    """At how many positions the answer becomes another class, and which one most often.

    Args:
        image: whose first prediction is the answer when nothing is hidden.
        answers: the most probable class at each position; below zero where none is finite.
    """
    own = image.predictions[0].index if image.predictions else -1
    others = answers[(answers >= 0) & (answers != own)]
    if not others.size:
        return "No position changes the answer."
    part = part_of(others.size, answers.size, "position")
    where = f"At {part}, dotted and outlined, the answer becomes"
    classes, counts = np.unique(others, return_counts=True)
    most = int(counts.argmax())
    names = {guess.index: guess.label for guess in image.predictions}
    name = names.get(int(classes[most]), f"class {classes[most]}")
    if len(classes) == 1:
        return f"{where} {name}."
    return f"{where} another class, most often {name} ({int(counts[most])} of them)."


def crossings(flips: int, positions: int, clean: float) -> str:
    """At how many positions a class that is said or not by itself crosses one half."""
    if not flips:
        return "No position moves the class across 50 %."
    where = f"At {part_of(flips, positions, 'position')}, dotted and outlined, the class"
    return f"{where} {'falls to 50 % or below' if clean > 0.5 else 'rises above 50 %'}."


def alt(image: Image, named: str, block: Heatmap) -> str:
    """`Occlusion map of chelsea.png, class tabby 55 %: the probability falls most, by ...`.

    Args:
        image: that it is of.
        named: the class, as `phrases.named_class` has it.
        block: the map.
    """
    return f"Occlusion map of {image.path}, {named}: {note(block)}"


def note(block: Heatmap) -> str:
    """The largest fall and its place, or that there is none, in a few words."""
    grid = grid_of(block)
    if not grid.size:
        return "no finite value"
    best, place = grid.peak
    if best >= SMALLEST:
        return f"the {block.unit} falls most, by {amount(best, block.unit)}, {place}"
    if best <= 0:
        return f"the {block.unit} falls nowhere"
    return f"the {block.unit} falls by {at_most(best, block.unit)}"
