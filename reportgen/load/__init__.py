"""Files to networks and images. Knows formats; runs neither the network nor code in a file.

The package can be called: `reportgen.load(path)` is `reportgen.api.load(path)`, as with `probe`.
"""

import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reportgen.facade import Report


class _Callable(ModuleType):
    def __call__(self, path: str | os.PathLike[str]) -> "Report":
        from reportgen.api import load

        return load(path)


sys.modules[__name__].__class__ = _Callable
