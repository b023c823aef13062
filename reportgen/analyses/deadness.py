"""When a unit counts as dead, near-dead or constant: the one place that says so."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reportgen.probe.evidence import Call, CallKey, Evidence, LayerEvidence

NEAR_DEAD_SHARE = 0.01
"A unit that fires on less than this share of the images, but on some, is near-dead."

CONSTANT_SPREAD = 1e-6
"A standard deviation below this share of the values' own size is rounding, not a signal."

DEAD = (
    "Dead: a rectified unit that is never above zero, at any position of any of the N images seen."
)
NEAR_DEAD = "Near-dead: a rectified unit above zero on some, but on less than 1 % of the images."
CONSTANT = "Constant: a unit, not dead, that gives one and the same value everywhere."


@dataclass(frozen=True, eq=False)
class UnitStates:
    """What can be said of each unit of one call. All (units,) bool, at most one true per unit.

    Nothing is claimed of a unit that gave a NaN or an infinite value.
    """

    nonfinite: NDArray[np.bool_]
    dead: NDArray[np.bool_]
    near_dead: NDArray[np.bool_]
    constant: NDArray[np.bool_]

    def words(self) -> tuple[str, ...]:
        """`dead`, `near-dead`, `constant`, `non-finite` or nothing, one per unit."""
        named = (
            ("non-finite", self.nonfinite),
            ("dead", self.dead),
            ("near-dead", self.near_dead),
            ("constant", self.constant),
        )
        words = np.full(len(self.dead), "", dtype=object)
        for word, mask in named:
            words[mask] = word
        return tuple(words)


def unit_states(call: Call, seen: LayerEvidence) -> UnitStates:
    """The state of every unit of `call`.

    Dead and near-dead are defined only where zero means off. Constant is a standard deviation below
    1e-6 of the unit's mean. Where nothing is ever off (GELU, SiLU, a bare convolution) a unit that
    has stopped working also counts: one below 1e-6 of the root mean square of its layer. One value
    alone is never constant.
    """
    nonfinite = seen.nonfinite > 0
    rectified = np.full(nonfinite.shape, call.rectifies) & ~nonfinite
    dead = rectified & (seen.maximum <= 0)
    near_dead = rectified & (seen.fired > 0) & (seen.fired < NEAR_DEAD_SHARE * seen.images)
    finite = ~nonfinite
    size = np.abs(seen.mean)
    if not call.rectifies and finite.any():
        power = np.square(seen.mean[finite]) + seen.variance[finite]
        size = np.maximum(size, np.sqrt(power.mean()))
    still = (seen.maximum == seen.minimum) | (np.sqrt(seen.variance) <= CONSTANT_SPREAD * size)
    has_several = seen.images * seen.positions > 1
    constant = still & finite & ~dead & ~near_dead & has_several
    return UnitStates(nonfinite, dead, near_dead, constant)


def firing_bound(images: int) -> float:
    """Largest firing rate, per image, that never firing on `images` images leaves open, at 95 %.

    The rule of three, 3 / N [hanley1983], which is 1 for three images or fewer.
    """
    return min(1.0, 3.0 / images) if images else 1.0


def filters_behind(evidence: Evidence, key: CallKey) -> Call | None:
    """The convolution or linear layer whose filters are the units of call `key`.

    Follows single inputs through layers that keep the units apart, such as batch norm; None where
    the units are no filters of one layer, as after a residual sum or a concatenation.
    """
    calls = {call.key: call for call in evidence.calls}
    call = calls[key]
    units = call.units
    while call.kind not in {"conv", "linear"}:
        if len(call.inputs) != 1 or call.inputs[0] not in calls:
            return None
        call = calls[call.inputs[0]]
        if call.units != units:
            return None
    return call
