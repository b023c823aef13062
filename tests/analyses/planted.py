"""Hand-made evidence: activations are given as arrays, their statistics are literal numpy."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from reportgen.analyses.study import Study
from reportgen.analyses.subjects import image_records, layer_records, parameter_records
from reportgen.load.image_set import ImageSet
from reportgen.load.images import ImageFile
from reportgen.load.model import LoadedModel
from reportgen.options import Options
from reportgen.probe.evidence import (
    Answer,
    BinnedValues,
    Call,
    CallKey,
    Evidence,
    LayerEvidence,
    MapPicture,
    VectorPicture,
)
from reportgen.report.arrays import Pixels
from reportgen.report.records import Preprocessing

Values = NDArray[np.float32]
COUNTS = ("positive", "zeros", "fired", "nonfinite")


def a_call(path: str, values: Values, **changes: Any) -> Call:
    """A call that gave `values` (n units h w) or (n units)."""
    is_map = values.ndim == 4
    fields: dict[str, Any] = {
        "key": CallKey(path),
        "type": "ReLU",
        "kind": "activation",
        "output_shape": values.shape[1:],
        "channel_axis": 0,
        "spatial_axes": (1, 2) if is_map else None,
        "parameters": 0,
        "macs": 0,
        "receptive_field": None,
        "inputs": (),
        "rectifies": True,
    }
    return Call(**{**fields, **changes})


def seen_of(values: Values) -> LayerEvidence:
    """Statistics of `values` (n units ...), one unit at a time."""
    n, units = values.shape[:2]
    columns: dict[str, list[float]] = {
        name: [] for name in ("minimum", "maximum", "mean", "variance", *COUNTS)
    }
    for unit in range(units):
        every = values[:, unit].reshape(n, -1).astype(np.float64)
        finite = every[np.isfinite(every)]
        is_empty = not finite.size
        columns["minimum"].append(np.inf if is_empty else finite.min())
        columns["maximum"].append(-np.inf if is_empty else finite.max())
        columns["mean"].append(0.0 if is_empty else finite.mean())
        columns["variance"].append(0.0 if is_empty else finite.var())
        columns["positive"].append(int((finite > 0).sum()))
        columns["zeros"].append(int((finite == 0).sum()))
        columns["fired"].append(sum(bool((np.nan_to_num(image) > 0).any()) for image in every))
        columns["nonfinite"].append(every.size - finite.size)
    arrays = {
        name: np.array(column, dtype=np.int64 if name in COUNTS else np.float64)
        for name, column in columns.items()
    }
    return LayerEvidence(
        images=n,
        positions=values[0, 0].size,
        histogram=binned(values[np.isfinite(values)]),
        **arrays,
    )


def binned(values: NDArray[Any]) -> BinnedValues:
    """Counts in 256 bins of the smallest power of two that holds all values, by a literal loop."""
    exponent = -30
    while any(not -128 * 2.0**exponent <= value < 128 * 2.0**exponent for value in values.flat):
        exponent += 1
    counts = np.zeros(256, dtype=np.int64)
    for value in values.flat:
        counts[int(np.floor(float(value) / 2.0**exponent)) + 128] += 1
    return BinnedValues(counts, exponent)


def picture_of(values: Values, name: str) -> MapPicture | VectorPicture:
    """The kept picture of one image's `values` (units h w) or (units)."""
    if values.ndim == 1:
        return VectorPicture(values)
    low, high = values.min(axis=(1, 2)), values.max(axis=(1, 2))
    spread = np.where(high > low, high - low, 1)[:, None, None]
    tiles = np.rint(254 * (values - low[:, None, None]) / spread).astype(np.uint8)
    mean = values.mean(axis=0)
    level = np.rint(254 * (mean - mean.min()) / max(np.ptp(mean), 1e-9)).astype(np.uint8)
    return MapPicture(
        tiles=tiles,
        low=low,
        high=high,
        mean_map=Pixels.of(level, name),
        mean_low=float(mean.min()),
        mean_high=float(mean.max()),
        full=None,
    )


def an_answer(logits: Sequence[float], k: int = 5) -> Answer:
    """What a network with these outputs says."""
    values = np.array(logits, dtype=np.float64)
    if not np.isfinite(values).all():
        nothing = np.array([])
        return Answer(nothing.astype(np.int64), nothing, nothing)
    odds = np.exp(values - values.max())
    probabilities = odds / odds.sum()
    first = np.argsort(-values, kind="stable")[:k]
    return Answer(
        classes=first,
        probabilities=probabilities[first],
        logits=values[first],
    )


def evidence_of(
    layers: Sequence[tuple[Call, Values]],
    answers: Sequence[Answer] | None = None,
    pictured: Sequence[int] = (0,),
    **changes: Any,
) -> Evidence:
    """Evidence of calls whose values over all images are given."""
    n = len(layers[0][1]) if layers else len(answers or ())
    fields: dict[str, Any] = {
        "calls": tuple(call for call, _ in layers),
        "layers": {call.key: seen_of(values) for call, values in layers},
        "pictures": {
            index: {
                call.key: picture_of(values[index], f"mean-{number}-{index}")
                for number, (call, values) in enumerate(layers)
            }
            for index in pictured
        },
        "answers": tuple(answers or [an_answer([2.0, 0.0, -1.0])] * n),
        "classes": 3,
        "macs": 349_152_000,
        "gives_probabilities": False,
        "is_deterministic": True,
        "input_similarity": {},
    }
    return Evidence(**{**fields, **changes})


class PlainImages(ImageSet):
    """Images that are given as tensors, with no file behind them."""

    def __init__(self, pixels: Sequence[torch.Tensor], preprocessing: Preprocessing) -> None:
        files = tuple(
            ImageFile(
                Path(f"photo{i}.png"), f"photo{i}.png", f"photo{i}", f"{i:064d}", 9, 7, None, ()
            )
            for i in range(len(pixels))
        )
        super().__init__(files=files, skipped=(), preprocessing=preprocessing)
        object.__setattr__(self, "given", tuple(pixels))

    def pixels(self, index: int) -> torch.Tensor:
        given: tuple[torch.Tensor, ...] = self.given  # type: ignore[attr-defined]
        return given[index]


def preparation(channels: int = 3, size: tuple[int, int] = (7, 9), **changes: Any) -> Preprocessing:
    fields: dict[str, Any] = {
        "height": size[0],
        "width": size[1],
        "resize": None,
        "interpolation": "bilinear",
        "mean": (0.5,) * channels,
        "std": (0.25,) * channels,
        "channels": channels,
        "source": "stated by flag",
        "is_assumed": False,
    }
    return Preprocessing(**{**fields, **changes})


def loaded_model(module: nn.Module, channels: int = 3) -> LoadedModel:
    return LoadedModel(
        module=module.eval(),
        file="model.pth",
        sha256="0" * 64,
        architecture="tiny",
        architecture_source="stated by flag",
        format="state_dict",
        dtype="float32",
        preprocessing=None,
        labels=(),
        labels_source="",
        in_channels=channels,
        input_size=None,
        notes=(),
    )


def study_of(
    evidence: Evidence,
    module: nn.Module | None = None,
    *,
    labels: Sequence[str] = ("cat", "dog", "owl"),
    true: Mapping[int, int] | None = None,
    preprocessing: Preprocessing | None = None,
    options: Options | None = None,
    probe: Any = None,
) -> Study:
    """A study of hand-made evidence; images are seeded noise, 7 x 9."""
    prepared = preprocessing or preparation()
    generator = torch.Generator().manual_seed(0)
    size = (prepared.channels, prepared.height, prepared.width)
    n = len(evidence.answers)
    images = PlainImages([torch.rand(size, generator=generator) for _ in range(n)], prepared)
    known = [(true or {}).get(index) for index in range(n)]
    module = module or nn.Identity()
    return Study(
        options=options or Options(Path("model.pth"), (Path("images"),)),
        loaded=loaded_model(module, prepared.channels),
        images=images,
        evidence=evidence,
        probe=probe,
        layer_records=layer_records(evidence),
        image_records=image_records(images, evidence, labels, known, set(evidence.pictures)),
        parameter_records=parameter_records(module),
        labels=tuple(labels),
    )
