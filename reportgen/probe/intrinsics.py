"""What compiled code needs and numba does not offer: counters that threads share, and addresses.

Compiled code that was kept on disk is compiled anew when its own file changes, not when one does
that it takes functions from: after a change here, in `kernels.py`, `sweep.py` or `vectors.py`,
remove the folders `__pycache__` (an installation makes all files anew).
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from numba import cfunc, njit, types
from numba.extending import intrinsic


@intrinsic
def taken(context: Any, counters: Any, index: Any) -> Any:
    """Adds one to a counter that threads share; gives what it was before."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        counter = builder.gep(arguments[0], [arguments[1]])
        return builder.atomic_rmw("add", counter, context.get_constant(types.int64, 1), "monotonic")

    return types.int64(types.CPointer(types.int64), types.int64), generate


@intrinsic
def at(context: Any, address: Any) -> Any:
    """The pointer to an address."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.int64), generate


@intrinsic
def float32(context: Any, bits: Any) -> Any:
    """The number that has these bits."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(types.float32))

    return types.float32(types.int32), generate


def entry(function: Callable[[Any], None]) -> Any:
    """A function that C can call, compiled now or loaded from where numba kept it."""
    return _kept(partial(cfunc, types.void(types.CPointer(types.int64))), function)


def compiled_function(function: Callable[..., None]) -> Any:
    """A function that is compiled when it is first called; Python's other threads run beside it."""
    return _kept(partial(njit, nogil=True), function)


def _kept(compiler: Callable[..., Any], function: Callable[..., None]) -> Any:
    try:
        # Where nobody knows of a home, numba would make a folder called `~`.
        Path.home()
        return compiler(cache=True)(function)
    except Exception:
        # No folder to keep it in, a full disk, or something kept that is cut off (numba does not
        # wait for the disk) fail in any way. A fault of the function itself fails again below.
        return compiler()(function)
