"""Weights as plain tensors of numbers: what is absent, quantised or endless is refused by name."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from reportgen.errors import ModelError

_PLAIN_DTYPES = frozenset(
    {
        torch.float16,
        torch.bfloat16,
        torch.float32,
        torch.float64,
        torch.bool,
        torch.uint8,
        torch.int8,
        torch.int16,
        torch.int32,
        torch.int64,
    }
)
_MOST_REPEATED = 1 << 24
"Numbers that a tensor may have when it repeats fewer: more would only fill the memory."
_MOST_TENSORS = 50_000
"Of one network; a ResNet-152 has 932."


def plain_tensors(tensors: Mapping[str, Tensor], size: int, file: str) -> dict[str, Tensor]:
    """The same as plain tensors.

    Args:
        tensors: as they were read.
        size: of the file in bytes, which is what the tensors may have.
        file: its name.

    Raises:
        ModelError: if there are none, or too many, or one that is not plain.
    """
    if not tensors:
        raise ModelError(f"{file} holds no weights.")
    refuse_too_many(len(tensors), file)
    plain: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        for fault in _faults(tensor):
            raise ModelError(f"{file} {fault.format(name)}")
        plain[name] = Tensor.detach(tensor).as_subclass(Tensor)
    held = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in plain.values()}
    if sum(held.values()) > size:
        raise ModelError(
            f"{file} claims {sum(held.values()):,} bytes of weights, and has {size:,} bytes in all."
        )
    return plain


def refuse_too_many(count: int, file: str) -> None:
    """Stop at more tensors than a network has.

    Raises:
        ModelError: if so.
    """
    if count > _MOST_TENSORS:
        raise ModelError(f"{file} holds {count:,} tensors, which is more than any network has.")


def _faults(tensor: Tensor) -> Iterator[str]:
    if type(tensor) not in (Tensor, torch.nn.Parameter):
        yield f"holds {{}} as a {type(tensor).__name__}, which is not supported."
    elif tensor.is_meta:
        yield "holds no weights: {} has a shape but no values (it was saved from the meta device)."
    elif tensor.layout != torch.strided:
        yield "holds {} as a sparse tensor, which is not supported; save it dense."
    elif tensor.numel() > max(_MOST_REPEATED, held := tensor.untyped_storage().nbytes()):
        yield f"holds {{}} as {tensor.numel():,} numbers, and only {held:,} bytes of them."
    elif tensor.is_quantized or tensor.dtype not in _PLAIN_DTYPES:
        kind = str(tensor.dtype).removeprefix("torch.")
        yield f"holds {{}} as {kind}, which is not supported; give the float checkpoint."
