"""Small networks that look at colours alone, so that all they say is known by hand.

A pixel goes through as it is (the first convolution copies the channels), so that images of plain
stripes have means that a person can count.
"""

import torch
from torch import nn


class Colours(nn.Module):
    """Outputs that are straight lines in the mean of each channel; how many, the subclass says."""

    slope, start = 10.0, -2.0

    def __init__(self, outputs: int = 3) -> None:
        super().__init__()
        self.copy = nn.Conv2d(3, 3, 1)
        self.relu = nn.ReLU()
        self.mean = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(3, outputs)
        with torch.no_grad():
            self.copy.weight.copy_(torch.eye(3)[..., None, None])
            self.copy.bias.zero_()
            self.head.weight.copy_(self.slope * torch.eye(outputs, 3))
            self.head.bias.fill_(self.start)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.mean(self.relu(self.copy(images))).flatten(1))


class Several(Colours):
    """Red, green and blue, each by itself: a sigmoid ends the network."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images).sigmoid()


class Single(Colours):
    """One score: whether there is red."""

    def __init__(self) -> None:
        super().__init__(1)


class Painter(nn.Module):
    """A map of scores for background, red, green and blue, and another that nobody asks for."""

    def __init__(self) -> None:
        super().__init__()
        self.copy = nn.Conv2d(3, 3, 1)
        self.relu = nn.ReLU()
        self.score = nn.Conv2d(3, 4, 1)
        with torch.no_grad():
            self.copy.weight.copy_(torch.eye(3)[..., None, None])
            self.copy.bias.zero_()
            self.score.weight.copy_(torch.eye(4)[:, 1:, None, None] * 8)
            self.score.bias.copy_(torch.tensor([0.0, -4.0, -4.0, -4.0]))

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        scores = self.score(self.relu(self.copy(images)))
        return {"out": scores, "aux": -scores}


class Finder(nn.Module):
    """One box an image, around what is red; losses while it is trained, as torchvision's."""

    def __init__(self) -> None:
        super().__init__()
        self.copy = nn.Conv2d(3, 4, 1)
        self.relu = nn.ReLU()
        with torch.no_grad():
            # The fourth filter is below zero wherever pixels are: it is dead.
            self.copy.weight.copy_(torch.cat([torch.eye(3), -torch.ones(1, 3)])[..., None, None])
            self.copy.bias.copy_(torch.tensor([0.0, 0.0, 0.0, -1.0]))

    def forward(self, images: list[torch.Tensor]) -> list[dict[str, torch.Tensor]]:
        if self.training:
            raise ValueError("targets should not be none when in training mode")
        found = self.relu(self.copy(torch.stack(list(images))))
        return [_box(red) for red in found[:, 0]]


def _box(red: torch.Tensor) -> dict[str, torch.Tensor]:
    rows, columns = (red > 0.5).nonzero(as_tuple=True)
    ends = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] if len(rows) else []
    boxes = torch.stack(ends).float()[None] if ends else torch.empty(0, 4)
    return {
        "boxes": boxes,
        "labels": torch.ones(len(boxes), dtype=torch.int64),
        "scores": torch.ones(len(boxes)),
    }


class Leaves(nn.Module):
    """Bare soil or leaves, from red and a fourth band beside it: leaves are bright in that."""

    def __init__(self) -> None:
        super().__init__()
        self.copy = nn.Conv2d(4, 4, 1)
        self.relu = nn.ReLU()
        self.mean = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(4, 2)
        with torch.no_grad():
            self.copy.weight.copy_(torch.eye(4)[..., None, None])
            self.copy.bias.zero_()
            self.head.weight.copy_(torch.tensor([[4.0, 0, 0, 0], [0, 0, 0, 4.0]]))
            self.head.bias.zero_()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.mean(self.relu(self.copy(images))).flatten(1))
