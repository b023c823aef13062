"""The device that a network runs on, and what to say when its memory is too small."""

import torch

from reportgen.errors import OptionError, ResourceError


def device_named(name: str) -> torch.device:
    """The device of that name, once it was tried."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        # A tensor knows its device in full: `cuda` becomes `cuda:0`.
        device = torch.ones(1, device=name).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise OptionError(
            f"--device {name}: this machine has no such device. Use `auto` or `cpu`."
        ) from error
    if device.type == "meta":
        raise OptionError("--device meta: it holds no values. Use `auto` or `cpu`.")
    return device


def too_large(images: torch.Tensor, device: torch.device) -> ResourceError:
    """What to raise when memory ran out for images (c h w), (b c h w) or (b c slices h w)."""
    is_one = images.ndim < 4
    shape = " x ".join(str(size) for size in (images.shape if is_one else images.shape[1:]))
    count = 1 if is_one else len(images)
    seen = f"one {shape} image" if count == 1 else f"{count} {shape} images at once"
    return ResourceError(
        f"The memory of {device} is too small for this network with {seen}. "
        "Use a smaller --input-size, or --device cpu."
    )
