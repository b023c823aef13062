"""The saved reports that were given: read, named, and where they lie as seen from the new site."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from reportgen.errors import OptionError, OutputError
from reportgen.report.records import Report
from reportgen.report.store import load_report


@dataclass(frozen=True, eq=False)
class Given:
    """One report with its name among the others."""

    letter: str
    name: str
    href: str
    "Its folder as seen from the output, as an address; empty where no link can lead there."
    report: Report


def given_reports(folders: Sequence[Path], output: Path) -> tuple[Given, ...]:
    """The reports in these folders, in this order.

    Raises:
        OptionError: if there are fewer than two, one twice, or one that cannot be read.
        OutputError: if `output` lies in one of them.
    """
    if len(folders) < 2:
        raise OptionError(
            "compare takes two reports or more, such as "
            "`reportgen compare before/ after/ -o changes/`."
        )
    places = [folder.resolve() for folder in folders]
    for index, place in enumerate(places):
        if place in places[:index]:
            raise OptionError(f"{folders[index]} is given twice; give two different reports.")
        # An output that is or holds a report is refused where it is written.
        if output.resolve().is_relative_to(place) and output.resolve() != place:
            raise OutputError(
                f"{output} lies in the report {folders[index]}; give another folder with -o"
            )
    names = _names(places)
    return tuple(
        Given(letter(index), names[index], _href(place, output.resolve()), _loaded(folder))
        for index, (folder, place) in enumerate(zip(folders, places, strict=True))
    )


def _loaded(folder: Path) -> Report:
    try:
        return load_report(folder, pictures=True)
    except OptionError as error:
        # Some of these name the file alone, and here there are several of that name.
        where = "" if str(folder) in str(error) else f"{folder}: "
        raise OptionError(f"{where}{error}") from None


def letter(index: int) -> str:
    """`A`, `B` ... `Z`, `A2`, `B2` ..."""
    letter = chr(ord("A") + index % 26)
    return letter if index < 26 else f"{letter}{index // 26 + 1}"


def _names(places: Sequence[Path]) -> list[str]:
    """The end of each path: its folder, with as many above as it takes to tell all apart."""
    longest = max(len(place.parts) for place in places)
    for count in range(1, longest):
        names = ["/".join(place.parts[-count:]) for place in places]
        if len(set(names)) == len(names):
            return names
    return [place.name for place in places]


def _href(place: Path, output: Path) -> str:
    """The way from the output to a report beside it, or below what it stands in; else empty.

    Any farther way would carry names of folders that are no part of what is published.
    """
    if not place.is_relative_to(output.parent) or not (place / "index.html").is_file():
        return ""
    return quote(os.fsencode(Path(os.path.relpath(place, output)).as_posix()))
