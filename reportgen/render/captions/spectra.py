"""Spectra of a layer: at which spatial frequency each of its curves is highest."""

import math
from collections.abc import Mapping, Sequence

from reportgen.render.captions.phrases import listed
from reportgen.render.filters import number
from reportgen.report.arrays import Array

FINEST = 0.5
"Cycles per pixel at the end of the last ring."


def of(title: str, arrays: Mapping[str, Array], at: int) -> str:
    """The words for the layer `at` of a section's arrays, (layers rings) each."""
    names = (("its kernels", "kernels"), ("what it reads", "read"), ("what it samples", "given"))
    return alt(title, [(words, arrays[key][at].tolist()) for words, key in names])


def alt(title: str, curves: Sequence[tuple[str, Sequence[float]]]) -> str:
    """`Spectra of features.0, in cycles per pixel highest at 0.023 (its kernels) and ...`.

    Args:
        title: of the layer.
        curves: name and energy over rings from 0 to 0.5; NaN where a ring has no value.
    """
    found = [(name, top) for name, values in curves if (top := peak(values)) is not None]
    if not found:
        return f"Spectra of {title}: none could be computed"
    words = [f"{number(top, 2)} ({name})" for name, top in found]
    return f"Spectra of {title}, in cycles per pixel highest at {listed(words)}"


def peak(values: Sequence[float]) -> float | None:
    """Frequency at the middle of the ring with the highest value; None where none is known."""
    known = [(value, -ring) for ring, value in enumerate(values) if math.isfinite(value)]
    if not known:
        return None
    return (0.5 - max(known)[1]) * FINEST / len(values)
