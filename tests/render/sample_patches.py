"""Made-up patches: of rectified layers the units are shown, one layer has no projections."""

import numpy as np

from reportgen.figures.mosaic import mosaic
from reportgen.report.arrays import Pixels
from reportgen.report.blocks import Atlas, Column, Link, Table
from reportgen.report.records import Panel

SHOWN = (7, 2, 5)


def patches(slug: str, units: int, images: int, is_shown: bool, has_problem: bool) -> Panel:
    """Each unit is strongest on image 0, then on the others; the last unit shown fires on one."""
    rng = np.random.default_rng(units)
    there = np.arange(9) < images
    arrays = {
        "image": np.where(there, np.arange(9), -1)[None].repeat(units, 0).astype(np.int32),
        "row": np.where(there, rng.integers(0, 5, (units, 9)), -1).astype(np.int32),
        "column": np.where(there, rng.integers(0, 7, (units, 9)), -1).astype(np.int32),
        "value": np.where(there, 3.5 - np.arange(9), np.nan)[None].repeat(units, 0),
    }
    shown = SHOWN if is_shown else ()
    problem = "act is SiLU, and the rule is defined for ReLU only." if has_problem else ""
    blocks: dict[str, Atlas | Table] = {}
    for name in ("crops", "projections"):
        if shown and not (has_problem and name == "projections"):
            tiles = rng.integers(0, 254, (9 * len(shown), 14, 18, 3), np.uint8)
            blocks[name] = atlas(tiles, f"{slug}-{name}")
    link = Link("night sky", "images/night-sky.html")
    rows = tuple(
        (unit, link if unit % 2 else "elsewhere.png", 3, 4, 3.5)
        if unit
        else (0, None, None, None, 0.0)
        for unit in range(units)
    )
    names = ("Unit", "Strongest on", "Row", "Column", "Value")
    blocks["strongest"] = Table(
        "Where each unit is strongest.", tuple(map(Column, names)), rows, 32 if units <= 512 else 16
    )
    facts = {
        "images": images,
        "units": shown,
        "fired": (images, images, 1)[: len(shown)],
        "rms": (2.5, 1.25, 0.5)[: len(shown)],
        "patches": (images, images, 1)[: len(shown)],
        "window": (7, 9) if shown else (),
        "is_whole_image": False,
        "problem": problem,
        "rectifies": is_shown,
    }
    return Panel(facts, arrays, blocks)


def atlas(tiles: np.ndarray, stem: str) -> Atlas:
    count, height, width = tiles.shape[:3]
    return Atlas(
        pixels=Pixels.lossy(mosaic(tiles, 9), stem),
        columns=9,
        count=count,
        tile_height=height,
        tile_width=width,
        full_height=height,
        full_width=width,
        low=np.zeros(count, np.float32),
        high=np.ones(count, np.float32),
        labels=(),
        order=(),
        signed=True,
        alt=f"{count} tiles.",
        caption="Mid-grey is zero.",
    )
