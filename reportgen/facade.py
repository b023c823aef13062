"""A report as Python programs and notebooks hold it: a thin face over its record."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from reportgen.errors import OptionError

if TYPE_CHECKING:
    from reportgen.compare.records import Comparison
    from reportgen.printing import Printed
    from reportgen.report import records
    from reportgen.write import Written

T = TypeVar("T")


class UnknownNameError(OptionError, KeyError):
    """A report has no layer or image of that name; the message names what is near."""

    __str__ = Exception.__str__


class Named(Mapping[str, T], Generic[T]):
    """Records by name, in their order; a name that is not there is answered with what is near."""

    def __init__(self, noun: str, items: Mapping[str, T], others: Mapping[str, T]) -> None:
        """Records that are found under other names, too.

        Args:
            noun: what one of them is.
            items: by the name that is listed.
            others: by names that are understood, but not listed.
        """
        self._noun, self._items, self._others = noun, items, others

    def __getitem__(self, name: str) -> T:
        for known in (self._items, self._others):
            if name in known:
                return known[name]
        raise UnknownNameError(f"There is no {self._noun} {name!r}; {self._near(str(name))}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"<{len(self)} {self._noun}s: {_some(list(self))}>"

    def _near(self, name: str) -> str:
        inside = [known for known in self._items if known.startswith(f"{name}.")]
        if inside:
            return f"it holds {_some(inside)}."
        near = get_close_matches(name, list(self._items), 3, cutoff=0.5)
        return f"did you mean {' or '.join(near)}?" if near else f"there are {_some(list(self))}."


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4:,} more" if len(names) > 4 else "")


class Report:
    """What `reportgen.build` made, or `reportgen.load` read."""

    def __init__(
        self, record: "records.Report", *, name: str = "", inputs: Sequence[Path] = ()
    ) -> None:
        """A face for a record.

        Args:
            record: the report as data (`reportgen.report.records.Report`).
            name: what to call it among others; empty for its title.
            inputs: the model and images, which `save` must not touch.
        """
        self.record = record
        self.name = name or record.title
        self._inputs = tuple(inputs)

    def __repr__(self) -> str:
        return f"<reportgen.Report: {self.verdict}>"

    @property
    def title(self) -> str:
        """Its title."""
        return self.record.title

    @property
    def verdict(self) -> str:
        """The report in one sentence."""
        return self.record.verdict

    @property
    def accuracy(self) -> float | None:
        """Share of the labelled images that are answered right; None without labels."""
        return self.record.accuracy

    @property
    def findings(self) -> "tuple[records.Finding, ...]":
        """What a reader should know, the most severe first."""
        return self.record.findings

    @property
    def layers(self) -> "Named[records.Layer]":
        """The calls of layers by title, in execution order: `features.3`, `relu`, `relu#2`."""
        items = {layer.title: layer for layer in self.record.layers}
        others = {layer.slug: layer for layer in self.record.layers}
        others |= {f"{layer.name}#1": layer for layer in self.record.layers if layer.call == 1}
        return Named("layer", items, others)

    @property
    def images(self) -> "Named[records.Image]":
        """The images by path; a file name alone or the name of its page will do."""
        items = {image.path: image for image in self.record.images}
        # From the last on, so that of several the first is found.
        others = {image.path.rsplit("/", 1)[-1]: image for image in reversed(self.record.images)}
        return Named("image", items, {image.slug: image for image in self.record.images} | others)

    def to_dict(self) -> dict[str, Any]:
        """The content of `report.json`; arrays, long tables and pictures are names of files."""
        from reportgen.report.store import stored

        _, text = next(stored(self.record))
        content: dict[str, Any] = json.loads(text)
        return content

    def save(
        self,
        folder: str | os.PathLike[str],
        *,
        force: bool = False,
        single_file: str | os.PathLike[str] | None = None,
        budget_mb: float | None = None,
    ) -> "Written":
        """Writes the site, or leaves everything as it was.

        Args:
            folder: new or empty, or a report that nobody changed since it was written.
            force: whether to replace one that was changed; files that are not ours are kept.
            single_file: where to write the report once more, as one HTML file.
            budget_mb: megabytes that the site may take; None for any size.

        Returns:
            The folder, with the count and the bytes of its files, and what to know of its size.

        Raises:
            OutputError: if the folder is refused or cannot be written.
        """
        from reportgen.figures.files import figures_of
        from reportgen.figures.press import Press
        from reportgen.packing import write_report
        from reportgen.saving import site_files
        from reportgen.write import claimed
        from reportgen.write.destination import check_file

        target = Path(folder)
        file = None if single_file is None else Path(single_file)
        if file:
            check_file(file, target, self._inputs)
        with claimed(target, self._inputs, force=force) as claim, Press() as press:
            press.order(figures_of(self.record))
            return write_report(
                self.record,
                site_files,
                press.drawn,
                claim,
                single_file=file,
                budget_mb=budget_mb,
            )

    def checks(self, *conditions: str) -> "tuple[records.Gate, ...]":
        """What conditions such as `dead>5%` come to; one that holds has not `passed`.

        Raises:
            OptionError: if one is no condition, or asks for what the report does not hold.
        """
        from reportgen.gates.judge import conditions_in, judged_in_time

        return judged_in_time(conditions_in(conditions), self.record)

    def compare(
        self,
        *others: "Report",
        output: str | os.PathLike[str] | None = None,
        title: str = "",
        force: bool = False,
    ) -> "Comparison":
        """What changed from this report to the last of the others; with several, a timeline.

        Args:
            others: later reports, in order.
            output: folder for the site of the comparison; None for none.
            title: of the comparison.
            force: as for `save`.

        Raises:
            OutputError: if the folder is refused or cannot be written.
        """
        from reportgen import __version__
        from reportgen.compare.compared import compared
        from reportgen.compare.given import Given, letter
        from reportgen.compare.store import FILE
        from reportgen.render.comparison import comparison_pages
        from reportgen.write import write_site

        if not others:
            raise OptionError("compare() takes one report or more to hold against this one.")
        reports = (self, *others)
        names = [report.name for report in reports]
        given = [
            Given(
                letter(index),
                name if names.count(name) == 1 else f"{name} {letter(index)}",
                "",
                report.record,
            )
            for index, (name, report) in enumerate(zip(names, reports, strict=True))
        ]
        comparison = compared(given, version=__version__, title=title)
        if output is not None:
            files = comparison_pages(comparison)
            write_site(files, Path(output), force=force, holds=FILE)
        return comparison

    def figures(
        self,
        folder: str | os.PathLike[str],
        formats: str | Sequence[str] = ("pdf", "svg"),
        width: str | float = "3.25in",
        *,
        only: Sequence[str] = (),
        force: bool = False,
    ) -> "Printed":
        """Writes figures for a paper, the numbers behind each, tables and references.

        Args:
            folder: new or empty, or one that this wrote before.
            formats: of `pdf`, `svg` and `png`.
            width: inches, or a length with its unit: `84mm`.
            only: globs of names; empty for the usual figures.
            force: whether to replace a folder whose files were changed by hand.

        Raises:
            OptionError: if an argument makes no sense, or no figure has such a name.
            OutputError: if the folder is refused or cannot be written.
        """
        from reportgen.printing import write_figures

        return write_figures(self.record, Path(folder), formats, width, only=only, force=force)

    def log(self, *services: str, step: int | None = None, name: str = "") -> None:
        """Sends pictures, histograms and numbers to `wandb` or `tensorboard`.

        Args:
            services: where to.
            step: of the training.
            name: of the run; empty for that of the report.

        Raises:
            OptionError: if there is no such service, or it cannot be used.
        """
        from reportgen.loggers import log_report

        log_report(self.record, services, name or self.name, step=step)

    def _repr_html_(self) -> str:
        from reportgen.render.notebook import notebook_html

        return notebook_html(self.record)
