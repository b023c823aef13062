"""The part of the input that one position of a layer can see."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ReceptiveField:
    """The input pixels that one position of a layer can see; (down, across) each."""

    size: tuple[int, int]
    stride: tuple[int, int]
    "Pixels between neighbouring positions; 0 where there is only one position."
    start: tuple[int, int]
    "First pixel seen by position (0, 0); negative where it reaches into the padding."
    covers_image: bool
    "True where one position sees the whole image."

    @property
    def centre(self) -> tuple[float, float]:
        """Centre of what position (0, 0) sees, in pixels."""
        return (
            self.start[0] + (self.size[0] - 1) / 2,
            self.start[1] + (self.size[1] - 1) / 2,
        )
