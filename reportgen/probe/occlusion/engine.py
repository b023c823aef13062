"""Chooses how the scores of an image with hidden places are computed, and says what was done."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from reportgen.errors import ResourceError
from reportgen.options import Engine
from reportgen.probe.occlusion.delta import delta_scores
from reportgen.probe.occlusion.exact import exact_scores
from reportgen.probe.occlusion.graph import Untraceable
from reportgen.probe.occlusion.plain import plain_scores
from reportgen.probe.probe import Probe, Progress
from reportgen.probe.ranks import estimated_correlation
from reportgen.report.arrays import FloatArray

SAMPLE = 16
"Positions at which a fast map is compared with the exact one."
STRONGEST = 4
"Of these, the positions at which the fast map is highest; the others are spread over the image."
LEAST_AGREEMENT = 0.999
"Estimated rank correlation with the exact map, below which a fast one is thrown away."


@dataclass(frozen=True)
class Run:
    """How the scores of one map were computed."""

    asked: Engine
    used: Engine
    precision: str
    "Number format of the network: `float32`."
    reason: str = ""
    "One sentence: why another engine was used than was asked for. Empty where none was."
    agreement: float | None = None
    "Of a fast map: rank correlation with the exact one; see `estimated_correlation`."
    sample: int = 0
    "Positions in that sample; 0 where there is none."


def hidden_scores(
    probe: Probe,
    image: torch.Tensor,
    filling: torch.Tensor,
    window: tuple[int, int],
    places: Sequence[tuple[int, int]],
    target: int,
    engine: Engine = "exact",
    progress: Progress | None = None,
    clean: torch.Tensor | None = None,
) -> tuple[torch.Tensor, Run]:
    """Scores (places classes), float32 on the CPU, with each place hidden; and how they were made.

    `exact` falls back to `plain` where the network cannot be run step by step or what its steps
    give does not fit the memory, `fast` to `exact` where the device has no bfloat16, where there
    are few places, or where its map puts them in another order.

    Args:
        probe: runs the network.
        image: normalised, (c h w).
        filling: normalised, (c h w), shown where a window hides the image.
        window: height and width in pixels.
        places: first row and column of each window.
        target: index of the class whose fast scores are checked.
        engine: that is asked for.
        progress: told of the places done; from the first again after a fallback.
        clean: the network's own scores (1 classes) of the image; computed where they are None.

    Raises:
        ResourceError: if one image alone does not fit the memory.
    """
    given = (probe, image, filling, window)
    with probe.lent(torch.empty(0)) as (_, moved):
        run = Run(engine, engine, str(moved.dtype).removeprefix("torch."))
    if engine == "plain":
        return plain_scores(*given, places, progress), run
    try:
        if engine == "fast":
            reason = _obstacle(probe.device, len(places))
            try:
                fast = None if reason else delta_scores(*given, places, progress, clean=clean)
            except Untraceable as error:
                # What carries differences knows fewer operations than what carries values.
                fast, reason = None, str(error)
            if fast is not None:
                sample = sampled(places, -fast[:, target].numpy())
                exact = exact_scores(*given, [places[index] for index in sample], clean=clean)
                agreement = _agreement(probe, fast, sample, exact, target)
                if agreement is not None and agreement >= LEAST_AGREEMENT:
                    return fast, replace(run, agreement=agreement, sample=len(sample))
                reason = _complaint(agreement)
            run = replace(run, used="exact", reason=reason)
        return exact_scores(*given, places, progress, clean=clean), run
    except Untraceable as error:
        reason = str(error)
    except ResourceError:
        reason = "The memory does not hold what this network gives for an image, step by step."
    return plain_scores(*given, places, progress), replace(run, used="plain", reason=reason)


def _complaint(agreement: float | None) -> str:
    """One sentence: why a fast map is thrown away."""
    if agreement is None:
        return "The fast map is flat or not finite, so that it could not be checked."
    return (
        "The rank correlation of the fast map with the exact one, estimated on "
        f"{SAMPLE} positions, was {agreement:.5f}, below {LEAST_AGREEMENT}."
    )


def _obstacle(device: torch.device, places: int) -> str:
    """One sentence: why nothing is gained by the fast engine; empty where something may be."""
    if not has_bfloat16(device):
        return "This processor has no bfloat16 arithmetic of its own."
    if places <= 2 * SAMPLE:
        return f"With {places} positions, checking a fast map costs as much as an exact one."
    return ""


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 itself; elsewhere it is slower than float32."""
    if device.type == "cuda":
        is_there: bool = torch.cuda.is_bf16_supported(including_emulation=False)
        return is_there
    kinds = (torch.cpu._is_avx512_bf16_supported, torch.cpu._is_amx_tile_supported)
    return any(is_supported() for is_supported in kinds)


def sampled(places: Sequence[tuple[int, int]], strength: FloatArray) -> NDArray[np.int64]:
    """Indices of `SAMPLE` places, all of them where there are fewer, in their order.

    The `STRONGEST` by strength, then places spread over the grid by additive recurrence with the
    plastic number, which in two dimensions leaves no large gap [roberts2018].

    Args:
        places: first row and column of each window, on a grid, row by row.
        strength: (places,); of equals the first is taken.
    """
    if len(places) <= SAMPLE:
        return np.arange(len(places))
    columns = len({column for _, column in places})
    rows = len(places) // columns
    found = dict.fromkeys(np.argsort(-strength, kind="stable")[:STRONGEST].tolist())
    plastic, step = 1.324717957244746, 0
    while len(found) < SAMPLE:
        step += 1
        row, column = (int(step / plastic**power % 1 * n) for power, n in ((1, rows), (2, columns)))
        found[row * columns + column] = None
    return np.array(sorted(found))


def _agreement(
    probe: Probe,
    fast: torch.Tensor,
    sample: NDArray[np.int64],
    exact: torch.Tensor,
    target: int,
) -> float | None:
    """Estimated rank correlation in probability or score, the lower of both; None if undefined.

    Args:
        probe: of the network.
        fast: scores (places classes).
        sample: indices of some places.
        exact: scores (sample classes).
        target: index of the class.
    """
    if not bool(torch.isfinite(fast).all() and torch.isfinite(exact).all()):
        return None
    pairs = (
        (fast.double().numpy(), exact.double().numpy()),
        (probe.probabilities(fast), probe.probabilities(exact)),
    )
    found = [
        estimated_correlation(whole[:, target], sample, known[:, target]) for whole, known in pairs
    ]
    return None if None in found else min(value for value in found if value is not None)
