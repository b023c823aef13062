"""What torchvision publishes with its networks for videos, against torchvision's own words."""

import re
from typing import Any

import pytest
from torchvision import models

from reportgen.load.video_nets import video_names, video_publication

NAMES = sorted(models.list_models(module=models.video))


def test_all_networks_for_videos_are_known_by_name() -> None:
    assert video_names() == set(NAMES) and "r3d_18" in NAMES and "resnet18" not in NAMES


def digits_of(member: Any) -> str:
    found = re.search(r"-([0-9a-f]{8})\.pth$", member.url)
    assert found
    return found[1]


@pytest.mark.parametrize("name", NAMES)
def test_a_published_file_is_prepared_as_torchvision_does(name: str) -> None:
    for member in models.get_model_weights(name):
        found = video_publication(name, digits_of(member) + "0" * 56)
        transforms, made = member.transforms(), found.preprocessing
        assert made is not None and not made.is_assumed and found.is_torchvisions_own
        assert (made.height, made.width) == tuple(transforms.crop_size)
        assert made.resize == min(transforms.resize_size)
        assert made.interpolation == transforms.interpolation.value
        assert (made.mean, made.std) == (tuple(transforms.mean), tuple(transforms.std))
        frames = re.search(r"clip_len=([0-9]+)", member.meta["_docs"])
        assert frames and (made.channels, made.slices) == (3, int(frames[1]))
        assert found.labels == tuple(member.meta["categories"]) and len(found.labels) == 400
        assert found.labels_source == "torchvision's published weights"


SQUEEZED = (
    "published with torchvision's weights for {}{} (frames keep their proportions, where "
    "torchvision makes them {} x {} first)"
)


@pytest.mark.parametrize(
    ("name", "digits", "source"),
    [
        ("r3d_18", "b3b3357e", SQUEEZED.format("r3d_18", ": this very file", 128, 171)),
        ("s3d", "d76dad2f", SQUEEZED.format("s3d", ": this very file", 256, 256)),
        ("r3d_18", "00000000", SQUEEZED.format("r3d_18", "; assumed for this file", 128, 171)),
        (
            "swin3d_t",
            "7615ae03",
            "published with torchvision's weights for swin3d_t: this very file",
        ),
    ],
)
def test_it_is_said_whose_the_preparation_is(name: str, digits: str, source: str) -> None:
    found = video_publication(name, digits + "0" * 56).preprocessing
    assert found is not None and found.source == source


def test_weights_of_someone_else_have_no_names_of_classes() -> None:
    found = video_publication("r3d_18", "0" * 64)
    assert (found.labels, found.labels_source, found.is_torchvisions_own) == ((), "", False)
    assert found.preprocessing is not None and found.preprocessing.is_assumed


def test_weights_that_do_not_say_their_frames_leave_that_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (member,) = models.get_model_weights("r3d_18")
    monkeypatch.setitem(member.meta, "_docs", "Of some frames.")
    found = video_publication("r3d_18", "0" * 64).preprocessing
    assert found is not None and found.slices is None
