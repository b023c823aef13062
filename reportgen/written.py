"""What a command wrote: where it stands, how large it is, and what to do where it is too large."""

from dataclasses import dataclass, replace
from pathlib import Path

LARGE = 10_000_000
"Bytes of one file over which it opens slowly and mail refuses it."


@dataclass(frozen=True)
class Written:
    """A report that now stands in its folder."""

    folder: Path
    count: int
    "Files, the marker aside."
    bytes: int
    single: Path | None = None
    "The same report in one file, where it was asked for."
    single_bytes: int = 0
    warnings: tuple[str, ...] = ()
    "What the user should know of the sizes, one sentence each."

    def summary(self) -> str:
        """What was written, and on the last line where."""
        page = self.folder / "index.html"
        lines = [f"{self.count} files, {self.bytes / 1e6:.1f} MB; open {page}", str(self.folder)]
        if self.single:
            lines.insert(1, f"one file, {self.single_bytes / 1e6:.1f} MB; open {self.single}")
        return "\n".join(lines)

    def warned(self, *sentences: str) -> "Written":
        """The same with these warnings too, of which empty ones are none."""
        return replace(self, warnings=(*self.warnings, *filter(None, sentences)))

    def with_single(self, file: Path, size: int) -> "Written":
        """The same with the report in one file, and a warning where that is large."""
        made = replace(self, single=file, single_bytes=size)
        if size <= LARGE:
            return made
        return made.warned(
            f"{file} is {size / 1e6:.1f} MB, which opens slowly and is hard to mail; build with "
            "fewer images (--max-images), fewer layers (--layers) or a limit (--budget-mb)."
        )
