"""Tells an error of the network's own code from a fault of ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import walk_tb

import torch

from reportgen.errors import ModelError, ReportgenError, first_line
from reportgen.probe.device import too_large
from reportgen.probe.memory import is_out_of_memory

_OURS = str(Path(__file__).parents[1])
_MODULE_CALL = "_call_impl"
"The function of PyTorch that calls a module's forward."
_PASSING_ON = frozenset({"__torch_function__", "operate"})
"Our functions that stand between the network and PyTorch's, which they call for it."


@contextmanager
def blamed(images: torch.Tensor, first: int | None, device: torch.device) -> Iterator[None]:
    """Tells what ends the run of a network on images, if that is not our own fault.

    Args:
        images: that it is run on, (b c h w), (c h w), or volumes (b c slices h w).
        first: index of the first of them among all images, where that is known.
        device: that it is run on.

    Raises:
        ModelError: if the network's own code fails.
        ResourceError: if the memory is too small.
    """
    try:
        yield
    # A network may end the program, too, as a script does.
    except (Exception, SystemExit) as error:
        if is_out_of_memory(error):
            raise too_large(images, device) from error
        if isinstance(error, ReportgenError) or not _is_of_the_network(error):
            raise
        count = len(images) if images.ndim > 3 else 1
        what = "an image" if count == 1 else f"one of {count} images"
        if first is not None:
            what = f"image {first + 1}"
            what += "" if count == 1 else f" to {first + count}, in their order"
        raise ModelError(
            f"The network's own code fails on {what}: {kind_and_words(error)}. "
            "Mend it, or leave out what it cannot take."
        ) from error


def kind_and_words(error: BaseException) -> str:
    """`ValueError: what it says`, or only the kind if it says nothing."""
    said, kind = first_line(error), type(error).__name__
    return said if said == kind else f"{kind}: {said}"


def _is_of_the_network(error: BaseException) -> bool:
    """Whether we called the network, and it did not call us back before the error came."""
    ours = called = -1
    for depth, (frame, _) in enumerate(walk_tb(error.__traceback__)):
        code = frame.f_code
        if code.co_filename.startswith(_OURS) and code.co_name not in _PASSING_ON:
            ours = depth
        elif code.co_name == _MODULE_CALL:
            called = depth
    return called > ours
