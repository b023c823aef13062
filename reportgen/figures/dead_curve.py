"""How the number of dead units falls as images are added, as a figure for print."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reportgen.report.arrays import Array, FloatArray

_FEW = 8
MOST_LAYERS = 6
"Layers with a curve of their own: those that are left with most dead units."


@dataclass(frozen=True, eq=False)
class DeadCurve:
    """Units that fire on none of n images, by layer; the mean over all orders of the images."""

    images: Array
    "(points,) numbers n, rising"
    layers: tuple[str, ...]
    dead: FloatArray
    "(layers points)"

    def data(self) -> Mapping[str, Array]:
        """One column for all layers, and one a layer."""
        own = {f"dead in {name}": self.dead[at] for at, name in enumerate(self.layers)}
        return {"images": self.images, "dead in all layers": self.dead.sum(axis=0), **own}

    def figure(self, formats: Sequence[str], width: float) -> dict[str, bytes]:
        """All layers above, those with most dead units below."""
        from reportgen.figures.export import PRESS, figure, saved

        order = np.argsort(-self.dead[:, -1], kind="stable")[:MOST_LAYERS].tolist()
        most = [at for at in order if self.dead[at, -1] >= 1] if len(self.layers) > 1 else []
        with figure(width, 1.7 + (1.9 if most else 0.0), PRESS) as drawn:
            panels = drawn.subplots(2 if most else 1, sharex=True, squeeze=False)[:, 0]
            panels[0].plot(self.images, self.dead.sum(axis=0), marker=".", markersize=3)
            panels[0].set_title("Dead units, all layers", loc="left")
            for at in sorted(most):
                panels[1].plot(self.images, self.dead[at], marker=".", label=self.layers[at])
            if most:
                panels[1].set_title("Layers with most of them", loc="left")
                panels[1].legend(fontsize=6, frameon=False)
            for axes in panels:
                axes.set_xscale("log")
                axes.set_ylim(bottom=0)
                axes.set_ylabel("dead units")
            ticks = _ticks(self.images.tolist())
            panels[-1].set_xticks(ticks, [f"{n:,}" for n in ticks])
            panels[-1].set_xticks([], minor=True)
            panels[-1].set_xlabel("images seen, log scale")
            return saved(drawn, formats)


def _ticks(images: Sequence[int]) -> list[int]:
    """All of few numbers; else the first, powers of ten that stand clear of the last, the last."""
    most = images[-1]
    if most <= _FEW:
        return list(range(images[0], most + 1))
    return [
        images[0],
        *(10**k for k in range(1, 9) if images[0] < 10**k and 2 * 10**k <= most),
        most,
    ]
