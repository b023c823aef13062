"""What the script of a layer's page needs: ranges of tiles, and numbers that the page leaves out.

It stands in a file of its own: a thousand tiles for ten images would double the page.
"""

import json
import math
from collections.abc import Iterable

import numpy as np

from reportgen.render.filters import cell
from reportgen.render.site import Site
from reportgen.report.arrays import FloatArray
from reportgen.report.blocks import Atlas, Table
from reportgen.report.records import Layer


def layer_script(site: Site, layer: Layer) -> bytes:
    """`data/<layer>.js`: a classic script, since pages opened from a disk may not fetch."""
    data: dict[str, object] = {
        "atlases": {key: _atlas(block) for key, block in site.atlases(layer).items()}
    }
    if "activations" in layer.panels:
        panel = layer.panels["activations"]
        table = panel.blocks["statistics"]
        assert isinstance(table, Table)
        columns = table.columns[1:]
        data["columns"] = [(c.name, "" if c.unit == "share" else c.unit) for c in columns]
        data["count"], data["shown"] = len(table.rows), table.shown
        # The page's own table holds the first rows.
        data["rest"] = [
            [cell(value, column.unit) for value, column in zip(row[1:], columns, strict=True)]
            for row in table.rows[table.shown :]
        ]
        images = panel.facts["images"]
        assert isinstance(images, int)
        data["images"] = "all images" if images > 1 else "the one image"
    if "kernels" in layer.panels:
        facts = layer.panels["kernels"].facts
        data["kernels"] = {"filters": facts["filter_rows"], "channels": facts["channel_columns"]}
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return f"window.layerData = {text};\n".encode()


def _atlas(block: Atlas) -> dict[str, object]:
    low, high = _numbers(block.low), _numbers(block.high)
    ends = {"low": low[0], "high": high[0]} if _is_one_scale(block) else {"low": low, "high": high}
    return ends | ({"labels": block.labels} if block.labels else {})


def _is_one_scale(block: Atlas) -> bool:
    return bool(len(block.low) and np.ptp(block.low) == 0 and np.ptp(block.high) == 0)


def _numbers(values: FloatArray | Iterable[float]) -> list[float | None]:
    """Five significant digits: one more than a page shows."""
    return [float(f"{value:.5g}") if math.isfinite(value) else None for value in values]
