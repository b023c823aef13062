"""What a network's windows read and sample: spectra of maps, from one pass of a few images."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from reportgen.probe.evidence import CallKey
from reportgen.probe.operations import argument
from reportgen.probe.probe import Probe
from reportgen.probe.spectrum import Spectrum, map_energy
from reportgen.probe.watch import Observer, Watch
from reportgen.report.arrays import FloatArray

SMALLEST = 8
"Maps with a shorter side hold too few frequencies to speak of."

Pair = tuple[int, int]


@dataclass(eq=False)
class Windowed:
    """One convolution or pooling: its windows, and the maps that it read. Pairs: down, across."""

    size: Pair
    "Taps of a window, those left out by dilation not counted."
    stride: Pair
    dilation: Pair
    weight: FloatArray | None
    "(filters channels height width) as the convolution used it; None for a pooling."
    read: Spectrum | None = None
    "Of its input, summed over channels and images; None where maps are too small."
    given: Spectrum | None = None
    "Of what it would give at stride 1, which is what its stride samples; None without a stride."

    @property
    def is_strided(self) -> bool:
        """Whether it skips positions."""
        return self.stride != (1, 1)

    @property
    def is_patches(self) -> bool:
        """Whether its windows lie side by side, so that each value is read once."""
        return self.weight is not None and self.is_strided and self.size == self.stride


def windowed(
    probe: Probe,
    images: Iterable[torch.Tensor],
    calls: Collection[CallKey],
    progress: Callable[[], None] = lambda: None,
) -> Mapping[CallKey, Windowed]:
    """Every 2-D convolution and pooling among the calls with more than one tap, or with a stride.

    One forward pass of each image. What a strided layer would give at stride 1 is computed, not
    estimated, so that it costs as much more as positions are skipped; but not for windows side by
    side, which exist to be sampled.

    Args:
        probe: of the network.
        images: normalised (c h w).
        calls: to look at.
        progress: told of every image done.

    Raises:
        ResourceError: if the memory is too small.
    """
    observer = _Windows(frozenset(calls))
    for image in images:
        with probe.lent(image) as (module, moved), Watch(module, observer):
            # A copy: some networks write to their input.
            module(moved[None].clone())
        progress()
    return observer.found


class _Windows(Observer):
    """Takes in what the functions behind some calls are given."""

    def __init__(self, calls: frozenset[CallKey]) -> None:
        self.found: dict[CallKey, Windowed] = {}
        self._calls = calls
        self._running: CallKey | None = None
        self._done: set[CallKey] = set()

    def start(self, inputs: Any) -> None:
        """A new image."""
        self._running = None
        self._done.clear()

    def enter(self, key: CallKey, inputs: Any) -> None:
        """Notes the call that the next function belongs to."""
        self._running = key

    def operate(self, name: str, run: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Looks at the operands before the function runs, which may overwrite them."""
        key = self._running
        if name in _SETTINGS and key in self._calls and key not in self._done:
            operand = argument(args, kwargs, 0, "input", None)
            if operand.ndim == 4:
                self._done.add(key)
                self._look(key, operand, _SETTINGS[name](args, kwargs))
        return run(*args, **kwargs)

    def _look(self, key: CallKey, operand: torch.Tensor, settings: "_Settings") -> None:
        seen = self.found.get(key)
        if seen is None:
            if settings.size == settings.stride == (1, 1):
                return
            weight = settings.weight
            seen = self.found[key] = Windowed(
                settings.size,
                settings.stride,
                settings.dilation,
                None if weight is None else weight.detach().cpu().float().numpy(),
            )
        seen.read = _added(seen.read, operand)
        if seen.is_strided and not seen.is_patches:
            seen.given = _added(seen.given, settings.at_stride_one(operand))


def _added(before: Spectrum | None, maps: torch.Tensor) -> Spectrum | None:
    """The spectrum with these maps; None where they are too small, or not of one size."""
    if min(maps.shape[-2:]) < SMALLEST:
        return None
    energy = map_energy(maps)
    if before is not None:
        energy += before.energy
    return Spectrum(energy, maps.shape[-1], has_mean=False)


@dataclass(frozen=True, eq=False)
class _Settings:
    """How a function moves its window."""

    size: Pair
    stride: Pair
    dilation: Pair
    weight: torch.Tensor | None
    at_stride_one: Callable[[torch.Tensor], torch.Tensor]


def _conv(args: Any, kwargs: Any) -> _Settings:
    weight = argument(args, kwargs, 1, "weight", None)
    padding = argument(args, kwargs, 4, "padding", 0)
    dilation = argument(args, kwargs, 5, "dilation", 1)
    groups = argument(args, kwargs, 6, "groups", 1)
    return _Settings(
        (weight.shape[2], weight.shape[3]),
        _pair(argument(args, kwargs, 3, "stride", 1)),
        _pair(dilation),
        weight,
        lambda maps: F.conv2d(maps, weight, None, 1, padding, dilation, groups),
    )


def _max_pool(args: Any, kwargs: Any) -> _Settings:
    size = argument(args, kwargs, 1, "kernel_size", None)
    padding = argument(args, kwargs, 3, "padding", 0)
    dilation = argument(args, kwargs, 4, "dilation", 1)
    return _Settings(
        _pair(size),
        _pair(argument(args, kwargs, 2, "stride", None) or size),
        _pair(dilation),
        None,
        lambda maps: F.max_pool2d(maps, size, 1, padding, dilation),
    )


def _avg_pool(args: Any, kwargs: Any) -> _Settings:
    size = argument(args, kwargs, 1, "kernel_size", None)
    padding = argument(args, kwargs, 3, "padding", 0)
    return _Settings(
        _pair(size),
        _pair(argument(args, kwargs, 2, "stride", None) or size),
        (1, 1),
        None,
        lambda maps: F.avg_pool2d(maps, size, 1, padding),
    )


_SETTINGS: Mapping[str, Callable[[Any, Any], _Settings]] = {
    "conv2d": _conv,
    "max_pool2d": _max_pool,
    "avg_pool2d": _avg_pool,
}


def _pair(value: Any) -> Pair:
    """(down, across) of a setting given once or twice."""
    if isinstance(value, (tuple, list)):
        return int(value[0]), int(value[-1])
    return int(value), int(value)
