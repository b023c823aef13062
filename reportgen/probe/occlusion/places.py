"""Where windows stand over an image, and what is shown in them."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F

from reportgen.options import Fill

BLUR_SIGMA = 0.05
"Standard deviation of the blur, as a share of the image's longer side: 11 pixels of 224."


def positions(size: int, window: int, stride: int) -> tuple[int, ...]:
    """First pixels of the windows in one direction: every `stride` until one reaches the border."""
    count = max(0, math.ceil((size - window) / stride)) + 1
    return tuple(range(0, count * stride, stride))


def fill_image(pixels: torch.Tensor, fill: Fill, mean: Sequence[float]) -> torch.Tensor:
    """What is shown in place of the hidden part, (c h w) in [0, 1].

    Args:
        pixels: (c h w) in [0, 1], before normalisation.
        fill: `mean` is the normalisation mean, `gray` 0.5, `black` 0, and `blur` the image itself
            after a Gaussian blur of `BLUR_SIGMA` times its longer side.
        mean: of the normalisation, one value per channel.
    """
    match fill:
        case "mean":
            return torch.tensor(mean, dtype=pixels.dtype)[:, None, None].expand_as(pixels)
        case "gray":
            return torch.full_like(pixels, 0.5)
        case "black":
            return torch.zeros_like(pixels)
        case "blur":
            return _blurred(pixels)


def _blurred(pixels: torch.Tensor) -> torch.Tensor:
    """Gaussian blur, with the border pixels repeated outside."""
    sigma = BLUR_SIGMA * max(pixels.shape[1:])
    radius = math.ceil(3 * sigma)
    weights = torch.exp(-((torch.arange(-radius, radius + 1) / sigma) ** 2) / 2)
    weights = (weights / weights.sum()).to(pixels)
    padded = F.pad(pixels[:, None], (radius,) * 4, mode="replicate")
    down = F.conv2d(padded, weights[None, None, :, None])
    return F.conv2d(down, weights[None, None, None, :])[:, 0]


def with_hidden(
    image: torch.Tensor,
    filling: torch.Tensor,
    window: tuple[int, int],
    places: Sequence[tuple[int, int]],
) -> torch.Tensor:
    """The image with one place hidden in each, (places c h w).

    Args:
        image: (c h w)
        filling: (c h w), shown where the window hides the image.
        window: height and width in pixels; cut off at the border.
        places: first row and column of each window.
    """
    images = image.expand(len(places), *image.shape).clone()
    for changed, (row, column) in zip(images, places, strict=True):
        hidden = (..., slice(row, row + window[0]), slice(column, column + window[1]))
        changed[hidden] = filling[hidden]
    return images
