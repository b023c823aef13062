"""How much memory a GPU has, and when memory ran out, which PyTorch says in several ways."""

import torch


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that a smaller batch may do."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    said = str(error)
    return isinstance(error, RuntimeError) and (
        "can't allocate memory" in said or "out of memory" in said or "ALLOC_FAILED" in said
    )


def memory_of(device: torch.device) -> int:
    """Bytes that a GPU has, whoever uses them; 0 of other devices, which gain nothing by more."""
    if device.type != "cuda":
        return 0
    return int(torch.cuda.get_device_properties(device).total_memory)
