"""What is said beside a network: found where it may be, believed as far as it makes sense."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from reportgen.errors import ModelError
from reportgen.load.decode import MAX_PIXELS
from reportgen.load.exported import Exported
from reportgen.load.pruned_files import (
    NOTHING,
    Description,
    arguments_in,
    description,
    narrowing,
    publication,
)
from reportgen.load.torchvision_nets import Publication
from reportgen.report.pruned import Pruned, Width, written
from tests.load.test_pruned import PREPROCESSING, described

OURS = described("torchvision:resnet18", "7" * 64)


def beside(folder: Path, content: bytes) -> Path:
    (folder / "net.json").write_bytes(content)
    return folder / "net.pth"


def test_a_description_is_found_beside_its_weights(tmp_path: Path) -> None:
    file = tmp_path / "net.pth"
    assert description(file, "7" * 64, None) == NOTHING == Description(None, "")
    beside(tmp_path, written(OURS))
    assert description(file, "7" * 64, None) == Description(OURS, "net.json")
    assert description(file, "8" * 64, None) == Description(
        None,
        "net.json",
        "net.json is not about this file: it names weights of another SHA-256.",
    )
    assert description(tmp_path / "net.json", "7" * 64, None) == NOTHING
    beside(tmp_path, b"{}")
    assert description(file, "7" * 64, None) == Description(None, "net.json")


def test_a_description_has_a_largest_size(tmp_path: Path) -> None:
    text = written(OURS)
    most = 16 * 2**20
    file = beside(tmp_path, text + b" " * (most - len(text)))
    assert description(file, "7" * 64, None).pruned == OURS
    beside(tmp_path, text + b" " * (most + 1 - len(text)))
    assert description(file, "7" * 64, None) == Description(
        None, "net.json", "net.json is too large to be read."
    )


def test_a_description_that_cannot_be_opened_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(path: Path, mode: str) -> Any:
        raise PermissionError(13, "Permission denied")

    file = beside(tmp_path, written(OURS))
    monkeypatch.setattr(Path, "open", closed)
    assert description(file, "7" * 64, None) == Description(
        None, "net.json", "net.json cannot be read: Permission denied."
    )


def test_a_program_has_its_description_inside(tmp_path: Path) -> None:
    file, inside = beside(tmp_path, written(OURS)), "reportgen.json in net.pth"
    assert description(file, "7" * 64, Exported(b"", {}, b"")) == NOTHING
    said = description(file, "8" * 64, Exported(b"", {}, written(OURS)))
    assert said == Description(OURS, inside)
    odd = b'{"format": "reportgen-pruned", "version": 2}'
    found = description(file, "7" * 64, Exported(b"", {}, odd))
    assert (found.pruned, found.file) == (None, inside)
    assert found.problem.startswith(f"{inside} is of version 2")


def given(architecture: str = "a.py:Net", **arguments: Any) -> Pruned:
    return replace(OURS, architecture=architecture, arguments=arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"width": 10**6, "depth": -(10**6), "share": 0.5, "is_odd": True, "rest": None},
        {},
    ],
    ids=len,
)
def test_numbers_are_taken_from_a_file(arguments: dict[str, Any]) -> None:
    found = arguments_in(given(**arguments))
    assert found == arguments and found is not arguments


def test_harmless_arguments_of_torchvision_are_taken_from_a_file() -> None:
    harmless = {
        **{"aux_logits": True, "dropout": 0.1, "image_size": 96, "init_weights": False},
        **{"num_classes": 5, "transform_input": True},
    }
    assert arguments_in(given("torchvision:vit_b_16", **harmless)) == harmless


@pytest.mark.parametrize(
    ("architecture", "name", "value"),
    [
        ("a.py:Net", "width", 10**6 + 1),
        ("a.py:Net", "width", -(10**6) - 1),
        ("a.py:Net", "width", float("inf")),
        ("a.py:Net", "file", "x"),
        ("a.py:Net", "layers", [1, 2]),
        ("a.py:Net", "a" * 50, "x"),
        ("torchvision:resnet18", "width_per_group", 64),
        ("torchvision:resnet18", "num_classes", 10**6 + 1),
        ("torchvision:resnet18", "num_classes", "5"),
    ],
)
def test_other_arguments_are_not(architecture: str, name: str, value: Any) -> None:
    with pytest.raises(ModelError) as caught:
        arguments_in(given(architecture, **{name: value}))
    assert str(caught.value) == (
        f"the argument {name[:40]} of {architecture} is not taken from a file; give --arch and "
        "--arch-args."
    )


def test_a_constructor_gives_the_network_as_it_was_pruned() -> None:
    def made(width: int = 6) -> nn.Module:
        """Two layers."""
        return nn.Sequential(
            nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.Conv2d(width, width, 3, groups=width)
        )

    widths = {"0": Width(4, 2), "1": Width(4), "2": Width(4, 4, 4)}
    narrow = narrowing(made, replace(OURS, widths=widths))
    assert (narrow.__name__, narrow.__doc__) == ("made", "Two layers.")
    assert {name: tuple(value.shape) for name, value in narrow().state_dict().items()} == {
        "0.weight": (4, 2, 3, 3),
        "0.bias": (4,),
        **{f"1.{name}": (4,) for name in ("weight", "bias", "running_mean", "running_var")},
        "1.num_batches_tracked": (),
        "2.weight": (4, 1, 3, 3),
        "2.bias": (4,),
    }
    wider = replace(OURS, widths={"0": Width(8)})
    assert narrowing(made, wider)(width=9).state_dict()["0.weight"].shape == (8, 3, 3, 3)


USABLE: list[dict[str, Any]] = [
    {},
    {"resize": None},
    {"resize": 40},
    {"height": 56, "width": 40, "resize": 40},
    {"resize": 2**15},
    {"height": MAX_PIXELS // 100, "width": 100, "resize": None},
    {"height": 1000, "width": 100, "slices": MAX_PIXELS // 10**5, "resize": None},
    {"mean": (0.0, 0.5, 1.0)},
    {"std": (1e-9, 0.5, 1.0)},
    *({"interpolation": name} for name in ("nearest", "nearest-exact", "bilinear")),
    *({"interpolation": name} for name in ("bicubic", "lanczos", "box")),
]
UNUSABLE: list[dict[str, Any]] = [
    {"resize": 39},
    {"height": 56, "width": 40, "resize": 39},
    {"resize": 2**15 + 1},
    {"height": MAX_PIXELS // 100 + 1, "width": 100, "resize": None},
    {"height": 1000, "width": 100, "slices": MAX_PIXELS // 10**5 + 1, "resize": None},
    {"mean": (0.5, -0.001, 0.5)},
    {"mean": (0.5, 0.5, 1.001)},
    {"std": (0.5, 0.0, 0.5)},
    {"std": (0.5, 0.5, 1.001)},
    {"mean": (float("nan"),) * 3},
    {"interpolation": "area"},
]


@pytest.mark.parametrize("changed", USABLE, ids=str)
def test_preprocessing_is_what_the_network_was_pruned_with(changed: dict[str, Any]) -> None:
    preprocessing = replace(PREPROCESSING, **changed)
    found = publication(replace(OURS, preprocessing=preprocessing), "net.json")
    expected = replace(preprocessing, source="used when it was pruned (net.json)")
    assert found == (Publication(expected, tuple("abcdefg"), "net.json", False), ())


@pytest.mark.parametrize("changed", UNUSABLE, ids=str)
def test_preprocessing_of_no_image_is_not_used(changed: dict[str, Any]) -> None:
    preprocessing = replace(PREPROCESSING, **changed)
    found = publication(replace(OURS, preprocessing=preprocessing), "net.json")
    words = "The preprocessing in net.json suits no image, and is not used."
    assert found == (Publication(None, tuple("abcdefg"), "net.json", False), (words,))


def test_what_is_not_said_is_not_published() -> None:
    bare = replace(OURS, preprocessing=None, labels=())
    assert publication(bare, "net.json") == (Publication(None, (), "", False), ())
