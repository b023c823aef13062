"""The `.json` beside a pruned network: what goes in comes out, and what is damaged is told."""

import json
from dataclasses import replace
from typing import Any

import pytest

from reportgen.errors import ModelError
from reportgen.report.pruned import Pruned, Source, Width, read, written
from reportgen.report.records import Preprocessing

PREPROCESSING = Preprocessing(
    height=30,
    width=40,
    resize=33,
    interpolation="bilinear",
    mean=(0.5, 0.25, 0.125),
    std=(1.0, 0.5, 0.25),
    channels=3,
    source="stated by flag",
    is_assumed=False,
)
PRUNED = Pruned(
    architecture="torchvision:resnet18",
    arguments={"num_classes": 5},
    widths={
        "conv1": Width(60, 3, 1),
        "bn1": Width(60),
        "features.1.0": Width(30, 30, 30),
        "fc": Width(5, 500),
    },
    state_dict="ab" * 32,
    preprocessing=PREPROCESSING,
    labels=("tench", "Ölfaß", "\udcff"),
    source=Source("resnet18.pth", "01" * 32),
)


def changed(**changes: Any) -> bytes:
    document = json.loads(written(PRUNED))
    for path, value in changes.items():
        *folders, last = path.split("__")
        place = document
        for folder in folders:
            place = place[folder]
        if value is None:
            del place[last]
        else:
            place[last] = value
    return json.dumps(document).encode()


def test_what_is_written_is_read_back() -> None:
    assert read(written(PRUNED), "pruned.json") == PRUNED
    bare = replace(PRUNED, preprocessing=None, labels=(), arguments={}, widths={})
    assert read(written(bare), "pruned.json") == bare


def test_the_file_is_laid_out_as_agreed() -> None:
    document = json.loads(written(PRUNED))
    assert list(document) == [
        "format",
        "version",
        "architecture",
        "arguments",
        "widths",
        "state_dict",
        "preprocessing",
        "labels",
        "source",
    ]
    assert (document["format"], document["version"]) == ("reportgen-pruned", 1)
    assert document["widths"] == {
        "conv1": {"out": 60, "in": 3, "groups": 1},
        "bn1": {"out": 60},
        "features.1.0": {"out": 30, "in": 30, "groups": 30},
        "fc": {"out": 5, "in": 500},
    }


@pytest.mark.parametrize(
    "text",
    [b"", b"[1, 2]", b'{"format": "other"}', b"\xff\xfe", b"{" * 100_000, b"[" * 100_000],
    ids=["empty", "list", "another format", "no text", "damaged", "deep"],
)
def test_another_file_is_none_of_ours(text: bytes) -> None:
    assert read(text, "pruned.json") is None


@pytest.mark.parametrize("version", [2, "1", True])
def test_another_version_is_refused(version: object) -> None:
    with pytest.raises(ModelError, match=r"pruned\.json is of version .* reads 1"):
        read(changed(version=version), "pruned.json")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"widths__conv1__out": "60"}, r"expected int @ \$\.widths"),
        ({"widths__conv1__out": True}, "expected int"),
        ({"widths__conv1__out": None}, "missing|required"),
        ({"widths__conv1__out": 0}, "conv1 has a width of 0"),
        ({"widths__conv1__ou": 3}, "ou"),
        ({"widths__features.1.0__groups": 7}, "features.1.0 cannot be split into 7 groups"),
        ({"widths": [1]}, "widths"),
        ({"labels": [1]}, r"expected str @ \$\.labels"),
        ({"state_dict": "abc"}, "'abc' is no SHA-256"),
        ({"source__sha256": "x" * 64}, "is no SHA-256"),
        ({"architecture": "/home/me/lenet.py:LeNet"}, "neither torchvision:NAME"),
        ({"architecture": "resnet18"}, "neither torchvision:NAME"),
        ({"preprocessing__std": [1, 0, 1]}, "preprocessing makes no sense"),
        ({"preprocessing__mean": [1]}, "preprocessing makes no sense"),
        ({"preprocessing__height": -1}, "preprocessing makes no sense"),
        ({"preprocessing__mean": ["a", 1, 2]}, r"expected float @ \$\.preprocessing\.mean"),
        ({"source": None}, "source"),
        ({"extra": 1}, "extra"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else "",
)
def test_a_damaged_file_is_told(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelError, match=rf"pruned\.json is damaged \(.*(?:{said}).*\): prune"):
        read(changed(**changes), "pruned.json")
