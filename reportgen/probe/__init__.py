"""Runs the network, watches it, and gives it back as it was found.

The package can be called: `reportgen.probe(model)` is `reportgen.api.probe(model)`. A module is
called through its class, so this one has a class of its own.
"""

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reportgen.probe.probe import Probe


class _Callable(ModuleType):
    def __call__(self, *args: Any, **options: Any) -> "Probe":
        # Only now: it imports torch, which `reportgen --help` must not wait for.
        from reportgen.api import probe

        return probe(*args, **options)


sys.modules[__name__].__class__ = _Callable
