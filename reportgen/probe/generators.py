"""Where the generators of random numbers stand, for networks that draw while they run."""

import random
from collections.abc import Iterator

import numpy as np
import torch

from reportgen.report.arrays import Array


def generator_states(device: torch.device) -> Iterator[Array]:
    """The states of PyTorch's generators, of Python's and of numpy's as arrays."""
    yield torch.get_rng_state().numpy()
    if device.type == "cuda":
        yield torch.cuda.get_rng_state(device).numpy()
    version, numbers, gauss = random.getstate()
    yield np.array([version, *numbers], np.int64)
    yield _maybe(gauss)
    _, keys, position, has_gauss, cached = np.random.get_state()
    yield np.asarray(keys, np.uint32)
    yield np.array([position, has_gauss], np.int64)
    yield np.array([cached], np.float64)


def set_generators(device: torch.device, states: Iterator[Array]) -> None:
    """Sets all of them to where they stood."""
    torch.set_rng_state(torch.from_numpy(next(states).copy()))
    if device.type == "cuda":
        torch.cuda.set_rng_state(torch.from_numpy(next(states).copy()), device)
    version, *numbers = next(states).tolist()
    gauss = next(states).tolist()
    random.setstate((version, tuple(numbers), gauss[0] if gauss else None))
    keys, (position, has_gauss) = next(states), next(states).tolist()
    cached = float(next(states)[0])
    np.random.set_state(("MT19937", keys, position, has_gauss, cached))


def _maybe(number: float | None) -> Array:
    return np.array([] if number is None else [number], np.float64)
