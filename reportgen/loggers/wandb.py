"""Logs a report to Weights & Biases: to the run that is open, else to one of its own."""

import io
import os
from typing import Any

import numpy as np
import wandb
from PIL import Image

from reportgen.errors import OptionError, first_line
from reportgen.loggers.entries import PREFIX, Distribution, Entry, Scalar, entries
from reportgen.report.records import Report

STEP = f"{PREFIX}/step"
"What the others are drawn over: the steps of a run that is open are the training's."


def log(report: Report, name: str, step: int | None) -> None:
    """Log a report; with a step, a run of our own stays open for those that follow.

    Raises:
        OptionError: if the service cannot be used.
    """
    opened = wandb.run
    try:
        run = opened or _started(report, name)
        if step is not None:
            run.define_metric(f"{PREFIX}/*", step_metric=STEP)
        logged: dict[str, Any] = {entry.name: _value(entry) for entry in entries(report)}
        run.log(logged if step is None else {STEP: step, **logged})
        if opened is None and step is None:
            run.finish()
    except wandb.Error as error:
        raise OptionError(
            f"--log wandb: {first_line(error)}. Run `wandb login`, or set WANDB_MODE=offline to "
            "log to a folder without an account."
        ) from error


def _started(report: Report, name: str) -> Any:
    """A run of its own; on a terminal, wandb itself asks whoever is not logged in."""
    model = report.model
    return wandb.init(
        project=os.environ.get("WANDB_PROJECT") or PREFIX,
        name=name,
        config={
            "architecture": model.architecture,
            "model_sha256": model.sha256,
            "reportgen": report.provenance.reportgen,
        },
        settings=wandb.Settings(console="off"),
    )


def _value(entry: Entry) -> Any:
    if isinstance(entry, Scalar):
        return entry.value
    if isinstance(entry, Distribution):
        bins = np.array(entry.histogram.counts), np.array(entry.edges)
        return wandb.Histogram(np_histogram=bins)
    return wandb.Image(Image.open(io.BytesIO(entry.content)), caption=entry.caption)
