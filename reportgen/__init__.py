"""What a trained vision network learned, what is wrong with it and how far to trust it."""

from typing import TYPE_CHECKING

from reportgen.api import build as build
from reportgen.facade import Report as Report

if TYPE_CHECKING:
    from reportgen.api import load as load
    from reportgen.api import probe as probe
else:
    # Folders of these names hold the code, and can be called; Python puts them here in any case.
    from reportgen import load as load
    from reportgen import probe as probe

__version__ = "0.1.0"
