"""What images go through, as transformers writes it down in `preprocessor_config.json`."""

from collections.abc import Mapping
from typing import Any

from reportgen.load.sizes import size_in
from reportgen.report.records import Preprocessing

_BYTES = 1 / 255
_INTERPOLATIONS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
"Pillow's numbers."
_SQUEEZED_FROM = 384
"Pixels from which ConvNeXt's images are squeezed and not cropped."


def hub_preprocessing(
    said: Mapping[str, Any], channels: int, source: str
) -> tuple[Preprocessing | None, tuple[str, ...]]:
    """The transforms, and a note where they are stated but cannot be followed.

    Args:
        said: content of `preprocessor_config.json`; empty where there is none.
        channels: that the network takes.
        source: where it comes from, in words.
    """
    if not said:
        return None, ()
    try:
        problem = _problem(said, channels)
        shape = _shape(said)
        prepared = None if problem or not shape else _prepared(said, channels, shape, source)
    except (TypeError, ValueError, OverflowError):
        problem, prepared = "it holds no numbers where there should be", None
    if prepared is None:
        what = problem or "how it resizes and crops is not understood"
        return None, (f"The folder's preprocessor_config.json is not followed: {what}.",)
    return prepared, ()


def _prepared(
    said: Mapping[str, Any], channels: int, shape: tuple[int, int, int | None], source: str
) -> Preprocessing:
    height, width, resize = shape
    if min(height, width, height if resize is None else resize) < 1:
        raise ValueError("a size below one pixel")
    is_normalised = said.get("do_normalize", True)
    return Preprocessing(
        height=height,
        width=width,
        resize=resize,
        interpolation=_INTERPOLATIONS[said.get("resample", 2)],
        mean=tuple(map(float, said["image_mean"])) if is_normalised else (0.0,) * channels,
        std=tuple(map(float, said["image_std"])) if is_normalised else (1.0,) * channels,
        channels=channels,
        source=source,
        is_assumed=False,
    )


def _problem(said: Mapping[str, Any], channels: int) -> str:
    """Why the values cannot be followed; empty where they can."""
    factor = said.get("rescale_factor", _BYTES)
    if not said.get("do_rescale", True) or abs(factor - _BYTES) > 1e-6 * _BYTES:
        return f"pixels are scaled by {factor:g} there"
    if said.get("do_flip_channel_order"):
        return "its colours are in the order blue, green, red"
    if said.get("resample", 2) not in _INTERPOLATIONS:
        return f"it resizes in the way {said.get('resample')}"
    if said.get("do_normalize", True):
        for name in ("image_mean", "image_std"):
            values = said.get(name)
            if not isinstance(values, list) or len(values) != channels:
                return f"{name} is not one number for each of {channels} channels"
        # NaN is not above zero either.
        if not all(float(value) > 0 for value in said["image_std"]):
            return "image_std holds no positive numbers"
    return ""


def _shape(said: Mapping[str, Any]) -> tuple[int, int, int | None] | None:
    """(height, width) and the shorter side before the crop, None for which where squeezed."""
    if not said.get("do_resize", True):
        return None
    size, crop = said.get("size"), said.get("crop_size")
    shorter = size.get("shortest_edge") if isinstance(size, Mapping) else None
    if "crop_pct" in said:
        side, share = int(shorter or size or 0), float(said["crop_pct"] or 1)
        return side, side, None if side >= _SQUEEZED_FROM else int(side / share)
    squeezed = size_in(size)
    if not said.get("do_center_crop"):
        return (*squeezed, None) if squeezed else None
    box = size_in(crop)
    if box and isinstance(shorter, int):
        return *box, shorter
    # Squeezed first and then cropped is understood where nothing is cut off.
    return (*box, None) if box and box == squeezed else None
