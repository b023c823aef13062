"""Pictures as sums of waves in uncorrelated colours, so that steps change what photos differ in."""

import torch

COLOURS = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))
"""Red, green and blue of the three directions in which the colours of ImageNet vary independently,
scaled by how much: a square root of their covariance, as published with [olah2017]."""
START = 0.01
"Standard deviation of the amplitudes at the start."


def random_waves(
    count: int, channels: int, size: tuple[int, int], generator: torch.Generator
) -> torch.Tensor:
    """Amplitudes of almost grey noise, (count channels height width//2+1 2) float32, on the CPU.

    Args:
        count: pictures.
        channels: of each; 3 are taken for red, green and blue.
        size: (height, width) in pixels.
        generator: drawn from, and nothing else.
    """
    height, width = size
    shape = (count, channels, height, width // 2 + 1, 2)
    return torch.randn(shape, generator=generator) * START


def pixels_of(waves: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """The pictures in (0, 1), (n c height width), that amplitudes stand for [olah2017].

    A wave of frequency f counts 1 / f, as in photos. Where there are three channels they become
    red, green and blue by `COLOURS`; a sigmoid keeps all within the range of a picture.

    Args:
        waves: (n c height width//2+1 2), real and imaginary part of each wave.
        size: (height, width) in pixels, of which the width cannot be read off the waves.
    """
    spectrum = torch.view_as_complex(waves) * _scale(size).to(waves.device)
    picture = torch.fft.irfft2(spectrum, s=size, norm="ortho")
    if picture.shape[1] == len(COLOURS):
        picture = torch.einsum("rd,ndhw->nrhw", _directions().to(picture), picture)
    return torch.sigmoid(picture)


def _scale(size: tuple[int, int]) -> torch.Tensor:
    """1 / frequency in cycles a pixel, (height width//2+1); that of the mean as of the longest."""
    height, width = size
    down, across = torch.fft.fftfreq(height), torch.fft.rfftfreq(width)
    return 1 / torch.hypot(down[:, None], across).clamp(min=1 / max(size))


def _directions() -> torch.Tensor:
    """`COLOURS`, the longest column of which has length one."""
    directions = torch.tensor(COLOURS)
    longest: torch.Tensor = directions.norm(dim=0).max()
    return directions / longest
