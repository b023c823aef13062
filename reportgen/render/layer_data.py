"""What the script of a layer's page needs: ranges of tiles, and numbers that the page leaves out.

It stands in a file of its own: a thousand tiles for ten images would double the page.
"""

import json
import math

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
        # The page's own table holds the first rows; without maps, no unit is looked at.
        data["rest"] = [
            "|".join(cell(value, c.unit) for value, c in zip(row[1:], columns, strict=True))
            for row in table.rows[table.shown :]
            if panel.facts["pictured"]
        ]
        images = panel.facts["images"]
        assert isinstance(images, int)
        data["images"] = "all images" if images > 1 else "the one image"
    if "kernels" in layer.panels:
        facts = layer.panels["kernels"].facts
        data["kernels"] = {"filters": facts["filter_rows"], "channels": facts["channel_columns"]}
    text = json.dumps(data, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    # A file name that is not UTF-8 reaches us as lone surrogates.
    return f"window.layerData = {text};\n".encode("utf-8", "backslashreplace")


def _atlas(block: Atlas) -> dict[str, object]:
    ends: dict[str, object] = {"low": _end(block.low), "high": _end(block.high)}
    return ends | ({"labels": block.labels} if block.labels else {})


def _end(values: FloatArray) -> float | list[float | None] | None:
    """One end of the scale of each tile; a single number where all have the same."""
    numbers = [short(value) for value in values.tolist()]
    return numbers[0] if len(set(numbers)) == 1 else numbers


def short(value: float, digits: int = 5) -> float | None:
    """A few digits, five being one more than a page shows; no decimals where there are none."""
    if not math.isfinite(value):
        return None
    short = float(f"{value:.{digits}g}")
    return int(short) if short.is_integer() else short
