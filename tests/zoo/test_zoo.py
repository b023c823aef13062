"""Ten small networks of the zoo have a whole and right report; its page has a row for each."""

from collections import Counter

import pytest
import torch
from torch import nn

from tests.zoo.counting import counted_macs, counter_for
from tests.zoo.members import Member, members
from tests.zoo.page import PAGE
from tests.zoo.row import BRIEF, NEVER, failures, has_published_macs, row

pytest.importorskip("timm")

SAMPLE = (
    "torchvision:squeezenet1_1",
    "torchvision:mobilenet_v3_small",
    "torchvision:lraspp_mobilenet_v3_large",
    "torchvision:ssdlite320_mobilenet_v3_large",
    "timm:convnext_atto",
    "timm:regnety_002",
    "timm:mixer_s32_224",
    "timm:deit_tiny_distilled_patch16_224",
    "timm:edgenext_xx_small",
    "timm:eva02_tiny_patch14_224",
)
WITH_ALL_SECTIONS = ("torchvision:squeezenet1_1", "timm:mixer_s32_224")


@pytest.mark.slow
@pytest.mark.parametrize("label", SAMPLE)
def test_a_report_of_it_is_whole_and_right(label: str) -> None:
    member = next(member for member in members() if member.label == label)
    made = row(member, NEVER if label in WITH_ALL_SECTIONS else BRIEF)
    assert failures(made, member) == []
    # timm starts the last layer of a mixer at zero, through which no gradient goes.
    starts_at_zero = member.name.startswith("mixer")
    reason = made.absent.get("gradients", "")
    assert reason == ("No gradient reaches the image." if starts_at_zero else "")


def test_what_is_published_of_some_leaves_the_products_of_attention_out() -> None:
    noted = [member for member in members() if member.note]
    assert len(noted) > 5
    for member in noted:
        image = torch.empty(1, 3, *member.native, device="meta")
        counter = counter_for(member.published(), image)
        weighted = counter.macs - counter.unweighted
        assert has_published_macs((weighted, member.gmacs), member), member.label
        assert not has_published_macs((counter.macs, member.gmacs), member) or (
            counter.unweighted < 0.05 * counter.macs
        )


def test_every_network_has_a_row_on_the_page() -> None:
    text = PAGE.read_text("utf-8")
    for member in members():
        assert text.count(f"\n| {member.name} | {member.family} |") == 1, member.label
    known = Counter((member.library, member.task) for member in members())
    assert known["torchvision", "classify"] == 80 and known["timm", "classify"] >= 30
    assert known["torchvision", "segment"] == 6 and known["torchvision", "detect"] == 12


def test_multiplications_of_a_network_known_by_hand() -> None:
    """Each is other than the next; attention's products are counted, too."""

    class Known(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 8, (3, 5), stride=2, groups=1)
            self.grouped = nn.Conv2d(8, 4, 1, groups=2)
            self.larger = nn.ConvTranspose2d(4, 6, (2, 3), stride=2, groups=2)
            self.linear = nn.Linear(4, 6)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.grouped(self.conv(x))
            self.larger(x)
            x = x.flatten(2).mT
            attended = nn.functional.scaled_dot_product_attention(x, x, x)
            scores: torch.Tensor = self.linear(attended)
            return scores

    rows, columns = (9 - 3) // 2 + 1, (13 - 5) // 2 + 1
    places = rows * columns
    expected = places * 8 * 3 * 15 + places * 4 * 4 + 2 * places * places * 4 + places * 4 * 6
    expected += places * 4 * 3 * 6  # each of 4 values to 3 channels of its group, 2 x 3 places
    assert counted_macs(Known().to("meta"), (9, 13)) == expected


def test_a_failure_is_told() -> None:
    member = Member("timm", "none", "none", (8, 8), 1.0, 1.0)
    from tests.zoo.row import Row

    made = Row(
        label=member.label,
        layers=1,
        sections=(),
        absent={},
        seconds=1.0,
        megabytes=1.0,
        shapes=(1, 2),
        odd=("conv#1: (3,) of (2, 4)",),
        parameters=(2_000_000, 1.0),
        macs=(5, 6),
        native_macs=(3_000_000_000, 1.0),
        has_right_answers=False,
        has_right_parameters=True,
    )
    said = " ".join(failures(made, member))
    for word in ("shapes", "parameters", "in the report", "published", "answers"):
        assert word in said, word
