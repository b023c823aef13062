"""Model files as people and their tools save them: odd, and good. All hold one small network."""

import argparse
import collections
import datetime
import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from tests.corpus.models_greedy import MODEL
from tests.corpus.runner import Case
from tests.load.model_files import small_net

Weights = Mapping[str, torch.Tensor]
CLASSES = 7


@dataclass(frozen=True)
class Odd(Case):
    """A file that is good; `says` is what `reportgen inspect` tells of it."""

    dtype: torch.dtype = torch.float32
    "What the weights were rounded to when they were saved."
    file: str = MODEL


@cache
def net() -> nn.Module:
    """The network in all of these files: small, with batch norms."""
    return small_net("shufflenet_v2_x0_5", CLASSES)


def twin(dtype: torch.dtype) -> nn.Module:
    """The network as it is when its weights were rounded to a number format."""
    rounded = small_net("shufflenet_v2_x0_5", CLASSES)
    rounded.load_state_dict(_cast(dtype))
    return rounded


def _weights() -> dict[str, torch.Tensor]:
    return dict(net().state_dict())


def _cast(dtype: torch.dtype) -> dict[str, torch.Tensor]:
    return {n: v.to(dtype) if v.is_floating_point() else v for n, v in _weights().items()}


def _prefixed(prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + name: value for name, value in _weights().items()}


def _last(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor


class Settings(dict):  # type: ignore[type-arg]
    """A dictionary of a class of its own, as configurations are."""


class Level(enum.Enum):
    """An enum, which pickles as a call of its class."""

    HIGH = "high"

    def __reduce_ex__(self, _: object) -> tuple[type, tuple[str]]:
        """As every Python does but 3.11.0 to 3.11.3, which wrote a call of `getattr`."""
        return type(self), (self.value,)


def everything() -> dict[str, Any]:
    """What training scripts save beside the weights."""
    return {
        "args": argparse.Namespace(lr=1, folder=Path("somewhere")),
        "settings": Settings(a=1),
        "numpy": (np.float32(1.5), np.ones(3), np.random.default_rng(0), np.random.get_state()),
        "time": datetime.datetime(2020, 1, 1),
        "counts": collections.defaultdict(list, a=[1]),
        "plain": (slice(1, 2), frozenset({1}), 2**70, Level.HIGH, b"x", 1j, torch.float16),
        "random": torch.get_rng_state(),
        "optimizer": {"state": {0: {"step": 3}}, "param_groups": [{"lr": 0.1}]},
    }


def _saved(content: Callable[[], object], **how: Any) -> Callable[[Path], None]:
    return lambda folder: torch.save(content(), folder / MODEL, **how)


def _traced(folder: Path) -> None:
    torch.jit.trace(net(), torch.zeros(1, 3, 64, 64)).save(folder / MODEL)


def _exported(folder: Path) -> None:
    program = torch.export.export(net(), (torch.zeros(1, 3, 64, 64),))
    torch.export.save(program, folder / MODEL)


def _averaged() -> dict[str, torch.Tensor]:
    return {"n_averaged": torch.tensor(3), **_prefixed("module.")}


def _shifted() -> dict[str, torch.Tensor]:
    return {n: v + 1 if v.is_floating_point() else v for n, v in _weights().items()}


_OLD = {"_use_new_zipfile_serialization": False}
_DICT, _WHOLE = "format *state_dict, ", "format *whole module, "

ODD = (
    Odd("state_dict", _saved(_weights), 0, f"{_DICT}float32"),
    Odd("old state_dict", _saved(_weights, **_OLD), 0, "format of torch before 1.6"),
    Odd("protocol 3", _saved(_weights, pickle_protocol=3), 0, _DICT),
    Odd(
        "parameters",
        _saved(lambda: collections.OrderedDict(net().state_dict(keep_vars=True))),
        0,
        _DICT,
    ),
    Odd("channels last", _saved(lambda: {n: _last(v) for n, v in _weights().items()}), 0, _DICT),
    Odd(
        "one storage",
        _saved(lambda: {n: torch.stack([v, v])[1] for n, v in _weights().items()}),
        0,
        _DICT,
    ),
    Odd(
        "no batch counters",
        _saved(lambda: {n: v for n, v in _weights().items() if "num_batches" not in n}),
        0,
        _DICT,
    ),
    Odd("with counters", _saved(lambda: {**_weights(), "epoch": 3}), 0, "no tensors .*: epoch"),
    Odd("float16", _saved(lambda: _cast(torch.float16)), 0, "float16", dtype=torch.float16),
    Odd("bfloat16", _saved(lambda: _cast(torch.bfloat16)), 0, "bfloat16", dtype=torch.bfloat16),
    Odd("float64", _saved(lambda: _cast(torch.float64)), 0, "float64", dtype=torch.float64),
    Odd(
        "state_dict entry",
        _saved(lambda: {"state_dict": _weights(), "epoch": 1}),
        0,
        "entry state_dict",
    ),
    Odd("model entry", _saved(lambda: {"model": _weights(), **everything()}), 0, "entry model"),
    Odd(
        "old model entry",
        _saved(lambda: {"model": _weights(), **everything()}, **_OLD),
        0,
        "entry model",
    ),
    Odd(
        "model_state_dict entry",
        _saved(lambda: {"model_state_dict": _weights()}),
        0,
        "entry model_state_dict",
    ),
    Odd(
        "raw and averaged",
        _saved(lambda: {"model": _weights(), "model_ema": _shifted()}),
        0,
        "raw ones are used",
    ),
    Odd("only averaged", _saved(lambda: {"ema": _weights()}), 0, r"averaged ones \(entry ema\)"),
    Odd("DataParallel's", _saved(lambda: _prefixed("module.")), 0, "prefix `module.`"),
    Odd("torch.compile's", _saved(lambda: _prefixed("_orig_mod.")), 0, "prefix `_orig_mod.`"),
    Odd("both prefixes", _saved(lambda: _prefixed("module._orig_mod.")), 0, "prefix `module.`"),
    Odd("AveragedModel's", _saved(_averaged), 0, "n_averaged"),
    Odd(
        "Lightning's",
        _saved(
            lambda: {
                "state_dict": {**_prefixed("model."), "criterion.weight": torch.ones(7)},
                "hyper_parameters": Settings(lr=1),
                "pytorch-lightning_version": "2.0",
            }
        ),
        0,
        "left out: criterion.weight",
    ),
    Odd("whole module", _saved(net), 0, _WHOLE),
    Odd("old whole module", _saved(net, **_OLD), 0, _WHOLE),
    Odd("whole DataParallel", _saved(lambda: nn.DataParallel(net())), 0, "wrapper DataParallel"),
    Odd(
        "whole compiled",
        _saved(lambda: torch.compile(net(), backend="eager")),
        0,
        "wrapper OptimizedModule",
    ),
    Odd("module in a dict", _saved(lambda: {"model": net(), "epoch": 3}), 0, _WHOLE),
    Odd(
        "safetensors",
        lambda folder: save_file(_weights(), folder / "model.safetensors"),
        0,
        "format *safetensors",
        file="model.safetensors",
    ),
    Odd(
        "safetensors of another name",
        lambda folder: save_file(_weights(), folder / MODEL),
        0,
        "format *safetensors",
    ),
    Odd(
        "state_dict of another name",
        lambda folder: torch.save(_weights(), folder / "model.safetensors"),
        0,
        "named .safetensors but is not one",
        file="model.safetensors",
    ),
    Odd(
        "scripted",
        lambda folder: torch.jit.script(net()).save(folder / MODEL),
        0,
        "format *TorchScript",
    ),
    Odd("traced", _traced, 0, "format *TorchScript"),
    Odd("exported", _exported, 0, "format *pt2"),
)
