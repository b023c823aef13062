"""What the network has learned, as numbers: every weight, bias and norm parameter."""

import re
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import nn

from reportgen.analyses.architecture import by
from reportgen.analyses.filters import kernels
from reportgen.analyses.findings import counted, few, percent
from reportgen.analyses.study import Analysis, Outcome, Study
from reportgen.report.arrays import Array, FloatArray
from reportgen.report.blocks import Column, Link, Table
from reportgen.report.records import Fact, Finding, Panel, Parameter, Rule
from reportgen.report.sketch import sketch_width, sketched

MOSTLY_ZERO = 0.5

COLUMNS = (
    Column("Parameter"),
    Column("Shape"),
    Column("Mean"),
    Column("Std", hint="With n - 1 in the denominator."),
    Column("Min"),
    Column("Max"),
    Column("Norm", hint="Root of the sum of squares."),
    Column("Zeros", "share", "Share of values that are exactly zero."),
)


def run(study: Study) -> Outcome:
    """One row per parameter; the histograms stand in the records."""
    records = study.parameter_records
    table = Table(
        caption="Every weight, bias and norm parameter, and the running statistics of norms.",
        columns=COLUMNS,
        rows=tuple(
            (
                Link(record.name, parameter_link(record.name)),
                by(record.shape) or "scalar",
                record.mean,
                record.std,
                record.min,
                record.max,
                record.norm,
                record.zero_fraction,
            )
            for record in records
        ),
    )
    sizes = [_size(record) for record in records]
    facts: dict[str, Fact] = {
        "parameters": len(records),
        "values": sum(sizes),
        "zeros": sum(round(r.zero_fraction * n) for r, n in zip(records, sizes, strict=True)),
        "nonfinite": sum(record.nonfinite for record in records),
    }
    entries = study.loaded.module.state_dict()
    filters = [_filters(study.loaded.module, record.name, entries) for record in records]
    width = sketch_width([rows.shape for rows in filters])
    facts |= {"sketch_width": width, "sketch_rows": tuple(len(rows) for rows in filters)}
    arrays: dict[str, Array] = {}
    if filters:
        arrays["sketch"] = np.concatenate([sketched(rows, width).ravel() for rows in filters])
        arrays["filter_norms"] = np.concatenate([_norms(rows) for rows in filters])
    found = (
        *few(tuple(_nonfinite(study)), "parameter", "weights.html"),
        *few(tuple(_mostly_zero(study)), "parameter", "weights.html"),
    )
    return Outcome({"": Panel(facts, arrays, {"table": table})}, found)


def parameter_link(name: str) -> str:
    """Address of a parameter's histogram."""
    return "weights.html#" + re.sub(r"[^A-Za-z0-9._-]", "-", name)


def _filters(module: nn.Module, name: str, entries: Mapping[str, torch.Tensor]) -> FloatArray:
    """A parameter as (filters weights) float32; a tensor of one axis is one filter."""
    value = entries[name].detach().cpu().float()
    owner = module.get_submodule(name.rpartition(".")[0])
    turned = kernels(owner) if getattr(owner, "transposed", False) and value.ndim > 1 else None
    if turned is not None:
        return turned.reshape(len(turned), -1)
    rows = len(value) if value.ndim > 1 else 1
    matrix: FloatArray = value.reshape(rows, -1).numpy()
    return matrix


def _norms(filters: FloatArray) -> FloatArray:
    """(filters,) root of the sum of squares, float32."""
    norms: FloatArray = np.sqrt(np.square(filters, dtype=np.float64).sum(axis=1))
    return norms.astype(np.float32)


def _size(record: Parameter) -> int:
    size = 1
    for side in record.shape:
        size *= side
    return size


def _nonfinite(study: Study) -> Iterator[Finding]:
    for record in study.parameter_records:
        if record.nonfinite:
            text = (
                f"{record.name} holds {counted(record.nonfinite, 'NaN or infinite value')} "
                f"among {_size(record):,}."
            )
            yield Finding("error", "non-finite-weights", text, parameter_link(record.name))


def _mostly_zero(study: Study) -> Iterator[Finding]:
    # Biases start at zero in most networks, so only what multiplies is worth a word.
    weights = [r for r in study.parameter_records if r.name.split(".")[-1].startswith("weight")]
    for record in sorted(weights, key=lambda record: -record.zero_fraction):
        if record.zero_fraction > MOSTLY_ZERO:
            text = f"{percent(record.zero_fraction)} of the {_size(record):,} values of "
            text += f"{record.name} are exactly zero."
            yield Finding("warning", "mostly-zero-weights", text, parameter_link(record.name))


ANALYSIS = Analysis(
    name="weights",
    title="Weights",
    place="page",
    run=run,
    rules=(
        Rule("non-finite-weights", "Error: a parameter holds a NaN or an infinite value."),
        Rule(
            "mostly-zero-weights",
            "Warning: more than 50 % of a weight's values are exactly zero (biases are left out).",
        ),
    ),
)
