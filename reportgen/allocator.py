"""Tells the C library to keep the memory that PyTorch frees, for it is soon asked for again.

Activations are megabytes large. The GNU allocator maps each such block anew and unmaps it when it
is freed, and the system has to clear every page of it again: measured as a quarter to a third of
the processor time of a forward pass.
"""

import ctypes
import platform

# From malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4
_NEVER = -1


def keep_freed_memory() -> None:
    """Sets the whole process so; does nothing where the C library is another one.

    What is in use does not grow by it, but what was in use is given back at the end only: this is
    for a command, not for a library that lives in another program.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    library = ctypes.CDLL(None)
    library.mallopt(_M_MMAP_MAX, 0)
    library.mallopt(_M_TRIM_THRESHOLD, _NEVER)
