"""The size of an image as configurations state it: one side, a pair, with channels, or by name."""

from collections.abc import Mapping


def size_in(stated: object) -> tuple[int, int] | None:
    """(height, width) in what is stated of a size; None where that is no size.

    Args:
        stated: a side, (height, width), (channels, height, width) or
            `{"height": ..., "width": ...}`.
    """
    if isinstance(stated, int):
        stated = stated, stated
    if isinstance(stated, Mapping):
        stated = stated.get("height"), stated.get("width")
    if not isinstance(stated, (tuple, list)) or len(stated) not in (2, 3):
        return None
    height, width = stated[-2:]
    is_size = isinstance(height, int) and isinstance(width, int) and min(height, width) > 1
    return (height, width) if is_size else None
