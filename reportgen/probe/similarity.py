"""How alike what a call reads and what it gives are."""

import numpy as np
import torch

PIECE = 1 << 15
"Values worked on at a time: large copies would cost more than the arithmetic."


def similarity(before: torch.Tensor, after: torch.Tensor) -> float | None:
    """Pearson correlation of input and output; None where it is not defined.

    In numpy, for while a network is traced, each function of PyTorch passes a counter.
    """
    if before.shape != after.shape or not before.numel():
        return None
    wide = torch.promote_types(torch.promote_types(before.dtype, after.dtype), torch.float32)
    x = before.detach().to("cpu", wide).flatten().numpy()
    y = after.detach().to("cpu", wide).flatten().numpy()
    sums = np.zeros(3)
    with np.errstate(invalid="ignore", over="ignore"):
        mean_x, mean_y = x.mean(dtype=np.float64), y.mean(dtype=np.float64)
        for start in range(0, len(x), PIECE):
            a, b = (some[start : start + PIECE].astype(np.float64) for some in (x, y))
            a -= mean_x
            b -= mean_y
            # Not `dot`, whose own threads would fight with those of PyTorch.
            sums += [np.einsum("i,i", *pair) for pair in ((a, a), (b, b), (a, b))]
    norm = float(np.sqrt(sums[0]) * np.sqrt(sums[1]))
    found = float(sums[2]) / norm if norm else float("nan")
    return min(max(found, -1.0), 1.0) if found == found else None
