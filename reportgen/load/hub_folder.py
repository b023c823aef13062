"""A folder as Hugging Face's libraries save a network: its weights and what is said of them."""

import json
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reportgen.errors import ModelError

CONFIG = "config.json"
_PREPARATION = "preprocessor_config.json"
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_MAX_BYTES = 16 * 2**20


@dataclass(frozen=True, eq=False)
class HubFolder:
    """What stands beside the weights."""

    path: Path
    weights: Path
    config: Mapping[str, Any]
    preparation: Mapping[str, Any]
    "What images go through; empty where the folder does not say."

    @property
    def is_of_timm(self) -> bool:
        """Whether timm saved it: transformers has `architectures` and a `model_type`."""
        return isinstance(self.config.get("architecture"), str)


def hub_folder(path: Path) -> HubFolder | None:
    """The folder, if `path` is one with a `config.json`.

    Raises:
        ModelError: if what it holds cannot be read.
    """
    if not path.is_dir() or not (path / CONFIG).exists():
        return None
    weights = next((path / name for name in _WEIGHTS if (path / name).exists()), None)
    if weights is None:
        is_split = (path / "model.safetensors.index.json").exists()
        raise ModelError(
            f"{path} has no {_WEIGHTS[0]}"
            + (": weights in several files are not read; save them in one." if is_split else ".")
        )
    preparation = path / _PREPARATION
    return HubFolder(
        path, weights, _read(path / CONFIG), _read(preparation) if preparation.exists() else {}
    )


def _read(file: Path) -> Mapping[str, Any]:
    """A JSON object.

    Raises:
        ModelError: if it is none.
    """
    try:
        told = file.stat()
        if not stat.S_ISREG(told.st_mode) or told.st_size > _MAX_BYTES:
            raise ModelError(f"{file} is no ordinary file of settings.")
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{file} cannot be read as JSON: {error}") from error
    if not isinstance(found, dict):
        raise ModelError(f"{file} holds no JSON object.")
    return found
