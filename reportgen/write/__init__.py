"""Files to disk, all or nothing: what stood there stays until the new is complete."""

from reportgen.write.files import write_file, write_single, write_together
from reportgen.write.site import Claim, claimed, write_site
from reportgen.written import Written

__all__ = [
    "Claim",
    "Written",
    "claimed",
    "write_file",
    "write_single",
    "write_site",
    "write_together",
]
