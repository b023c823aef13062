"""Sizes of images, as configurations state them."""

import pytest

from reportgen.load.sizes import size_in


@pytest.mark.parametrize(
    ("stated", "size"),
    [
        (224, (224, 224)),
        ((192, 256), (192, 256)),
        ([192, 256], (192, 256)),
        ((3, 192, 256), (192, 256)),
        ({"width": 256, "height": 192}, (192, 256)),
        (2, (2, 2)),
        (1, None),
        ((1, 192), None),
        ((192, 1), None),
        (True, None),
        (None, None),
        ("224", None),
        (224.0, None),
        ((192,), None),
        ((1, 3, 192, 256), None),
        ((192.0, 256), None),
        ((192, "256"), None),
        ({"shortest_edge": 256}, None),
        ({"height": 192}, None),
    ],
)
def test_a_size_is_found_however_it_is_stated(stated: object, size: tuple[int, int] | None) -> None:
    assert size_in(stated) == size
