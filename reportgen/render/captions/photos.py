"""Photos: how much of a file the network was shown, and at what size."""

from reportgen.render.filters import number, percent
from reportgen.report.places import middle_named, slices_of
from reportgen.report.records import Image, Preprocessing


def seen(image: Image, prepared: Preprocessing) -> str:
    """How much of the file's picture the network saw, and how much larger or smaller."""
    size = f"{slices_of(prepared.slices)}{prepared.height:,} × {prepared.width:,} pixels"
    if prepared.resize is None:
        down, across = prepared.height / image.height, prepared.width / image.width
        scale = f"{number(down, 2)} times as high and {number(across, 2)} times as wide"
        return f"The network saw {size}: the whole picture, {scale}.{_shown(prepared)}"
    kept, scale_of = kept_share(image, prepared)
    part = "the whole picture" if kept == 1 else f"the middle {percent(kept)} of the picture"
    sides = number(scale_of, 2)
    scale = "at its own size" if sides == "1" else f"with sides {sides} times as long"
    return f"The network saw {size}: {part}, {scale}.{_shown(prepared)}"


def _shown(prepared: Preprocessing) -> str:
    """Which of several slices and bands a picture shows."""
    count = prepared.slices or 1
    return (f" Shown is {middle_named(count)}." if count > 1 else "") + _bands(prepared)


def _bands(prepared: Preprocessing) -> str:
    if prepared.channels in (1, 3):
        return ""
    if prepared.channels == 2:
        return " Shown is the first of 2 bands."
    return f" Shown are the first three of {prepared.channels} bands, as red, green and blue."


def kept_share(image: Image, prepared: Preprocessing) -> tuple[float, float]:
    """The share of a file's picture that the crop keeps, and the scale of the resize before it."""
    assert prepared.resize is not None
    box = prepared.resize / min(prepared.height, prepared.width)
    scale = max(box * prepared.height / image.height, box * prepared.width / image.width)
    down = min(1.0, prepared.height / (image.height * scale))
    across = min(1.0, prepared.width / (image.width * scale))
    # What rounding to whole pixels leaves is no border that anyone sees.
    share = down * across
    return (1.0 if share > 1 - 1e-9 else share), scale


def seen_alt(image: Image, prepared: Preprocessing) -> str:
    """`chelsea.png as the network saw it, 224 × 224 pixels`."""
    count = prepared.slices or 1
    which = f", {middle_named(count)}" if count > 1 else ""
    return f"{image.path} as the network saw it{which}, {prepared.height} × {prepared.width} pixels"


def file_alt(image: Image) -> str:
    """`The file chelsea.png, 300 × 451 pixels`."""
    return f"The file {image.path}, {image.height:,} × {image.width:,} pixels"
