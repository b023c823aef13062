"""Networks of every shape, as a user's own file would hold them; `test_networks.py` builds each."""

SOURCE = '''
import dataclasses
import random
import sys
import time
from collections import OrderedDict, namedtuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

Pair = namedtuple("Pair", "logits features")


@dataclasses.dataclass
class Result:
    loss: object
    logits: object


class Net(nn.Module):
    """A convolution and a linear layer; what it gives is packed in one of many ways."""

    def __init__(self, gives="scores", channels=3):
        super().__init__()
        self.conv = nn.Conv2d(channels, 6, 3, padding=1)
        self.relu = nn.ReLU()
        self.fc = nn.Linear(6, 4)
        self.one = nn.Linear(6, 1)
        self.gives = gives

    def forward(self, x):
        x = self.relu(self.conv(x))
        pooled = x.mean((2, 3))
        scores = self.fc(pooled)
        return {
            "scores": lambda: scores,
            "tuple": lambda: (scores, x),
            "list": lambda: [scores, x],
            "dict": lambda: {"features": x, "logits": scores},
            "named tuple": lambda: Pair(scores, x),
            "dataclass": lambda: Result(None, scores),
            "maps of one place": lambda: scores[:, :, None, None],
            "one score": lambda: self.one(pooled),
            "one score without axis": lambda: self.one(pooled)[:, 0],
            "float64": lambda: scores.double(),
            "float16": lambda: scores.half(),
            "segmentation": lambda: x,
            "segmentation in a dict": lambda: OrderedDict(out=x, aux=x),
            "detection": lambda: [dict(boxes=torch.zeros(0, 4), scores=s) for s in scores],
            "maps of several sizes": lambda: [x, x[..., ::2, ::2]],
            "nothing": lambda: None,
            "words": lambda: "a cat",
            "classes": lambda: scores.argmax(1),
            "complex": lambda: scores.to(torch.complex64),
            "one row for all": lambda: scores[:1],
        }[self.gives]()


def giving(what):
    return lambda: Net(what)


def grey():
    return Net(channels=1)


def four_channels():
    return Net(channels=4)


def six_channels():
    return Net(channels=6)


class Volumes(nn.Module):
    def __init__(self, channels=1):
        super().__init__()
        self.conv = nn.Conv3d(channels, 5, (3, 3, 1))
        self.fc = nn.Linear(5, 4)

    def forward(self, x):
        return self.fc(F.relu(self.conv(x)).mean((2, 3, 4)))


class VolumeMaps(Volumes):
    def forward(self, x):
        return F.relu(self.conv(x))


class TwoInputs(Net):
    def forward(self, image, mask):
        return super().forward(image * mask)


class NoConvolution(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3 * 8 * 12, 10)
        self.last = nn.Linear(10, 4)

    def forward(self, x):
        return self.last(F.relu(self.first(x.flatten(1))))


class NoLayer(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("factor", torch.ones(1))

    def forward(self, x):
        return x.mean((2, 3)) * self.factor


class FixedSize(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.fc = nn.Linear(4 * 16 * 16, 4)

    def forward(self, x):
        return self.fc(self.conv(x).flatten(1))


class Asserting(Net):
    def forward(self, x):
        assert x.shape[-1] == 64, "64 pixels,\\nnot fewer"
        return super().forward(x)


class LargeKernel(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 33)
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return self.fc(self.conv(x).mean((2, 3)))


class Branching(Net):
    def forward(self, x):
        return super().forward(x * 2 if x.sum() > 0 else x)


class Resizing(Net):
    def forward(self, x):
        return super().forward(x[..., ::2, ::2] if x.sum() > 0 else x)


class Looping(Net):
    def forward(self, x):
        while x.abs().max() > 1:
            x = x / 2
        return super().forward(x)


class Random(Net):
    def forward(self, x):
        return super().forward(x + torch.randn_like(x))


class RandomInPython(Net):
    def forward(self, x):
        return super().forward(x * random.random())


class RandomInNumpy(Net):
    def forward(self, x):
        return super().forward(x * float(np.random.rand()))


class DropoutLeftOn(Net):
    def forward(self, x):
        return super().forward(F.dropout(x, 0.5, True))


class FailingOnWhite(Net):
    """Takes the first image, and not one with a white corner."""

    def forward(self, x):
        if bool((x[:, :, 0, 0] > 1.9).all(1).any()):
            raise ValueError("no white,\\nplease")
        return super().forward(x)


class FailingWithoutGradients(Net):
    def forward(self, x):
        with torch.no_grad():
            return super().forward(x)


class Recursive(Net):
    def forward(self, x):
        return self(x)


class Leaving(Net):
    def forward(self, x):
        sys.exit(3)


class Chatty(Net):
    def forward(self, x):
        import warnings

        warnings.warn("mind the step")
        return super().forward(x)


class Endless(Net):
    def forward(self, x):
        while True:
            x = x * 1


class Asleep(Net):
    def forward(self, x):
        time.sleep(1000)


class EndlessAfterwards(Net):
    """Hangs only on the second image."""

    def forward(self, x):
        while bool((x[:, :, 0, 0] > 1.9).all(1).any()):
            pass
        return super().forward(x)


class Stubborn(Net):
    """Catches everything, as compiled code hears nothing."""

    def forward(self, x):
        while True:
            try:
                time.sleep(0.01)
            except BaseException:
                pass
'''

GIVEN: tuple[str, ...] = (
    "scores", "tuple", "list", "dict", "named tuple", "dataclass", "maps of one place", "float64",
    "float16",
)  # fmt: skip
"What is understood to be four scores."

REFUSED = {
    "maps of several sizes": r"gives a list of \(2, 6, 8, 12\), \(2, 6, 4, 6\) for a batch of 2",
    "nothing": "gives a NoneType for a batch of 2",
    "words": "gives a str for a batch of 2",
    "classes": r"gives a tensor of torch\.int64 of shape \(2,\) for a batch of 2",
    "complex": r"gives a tensor of torch\.complex64 of shape \(2, 4\)",
    "one row for all": r"gives a tensor of shape \(1, 4\) for a batch of 2",
}
"What is given to what is said of it."
