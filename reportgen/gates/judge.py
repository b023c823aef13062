"""Conditions held against a report: which of them fail it, and with which value."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from reportgen.errors import GateError, OptionError
from reportgen.gates.comparing import COMPARED_NUMBERS
from reportgen.gates.language import COMPARED, Condition, condition_in
from reportgen.gates.names import NUMBERS, Reading, Unit
from reportgen.render.filters import number
from reportgen.report.records import Gate, Report

_UNITS: Mapping[str, Unit] = {
    **{name: fact.unit for name, fact in NUMBERS.items()},
    **{f"{COMPARED}{name}": fact.unit for name, fact in COMPARED_NUMBERS.items()},
}

_LISTS = ("layers[]", "images[]", "parameters[]")

LISTED = 3
"Layers, images or parameters that a sentence names; of the rest it gives the count."


def conditions_in(texts: Iterable[str], *, comparing: bool = False) -> tuple[Condition, ...]:
    """The conditions of `--fail-on`, each of them one that can be judged.

    Args:
        texts: as given.
        comparing: whether two reports are compared, and so names with `compare:` have a meaning.

    Raises:
        OptionError: if one is no condition, or asks for what there is not.
    """
    found = tuple(condition_in(text) for text in texts)
    for condition in found:
        told = f'--fail-on "{condition.text}"'
        if condition.name not in _UNITS:
            near = _nearest(condition.name, _UNITS)
            raise OptionError(
                f"{told}: there is no {_shown(condition.name)}{near}; docs/gates.md lists all."
            )
        if condition.name.startswith(COMPARED) and not comparing:
            raise OptionError(
                f"{told}: one report is not a comparison; use it with reportgen compare."
            )
        _check_value(told, condition, _UNITS[condition.name])
    return found


def _nearest(name: str, names: Iterable[str]) -> str:
    """`; the nearest is dead`, or nothing where none is near."""
    near = get_close_matches(name, sorted(names), n=1, cutoff=0.5)
    return f"; the nearest is {_shown(near[0])}" if near else ""


def _shown(name: str) -> str:
    return name.replace("[]", "[GLOB]")


def _check_value(told: str, condition: Condition, unit: Unit) -> None:
    """Refuse a value that the number cannot have: such a gate would never trip, or always."""
    name = _shown(condition.name)
    if condition.is_percent and unit in {"count", "yes or no"}:
        what = "a count" if unit == "count" else "0 or 1"
        raise OptionError(f"{told}: {name} is {what}, which is not given in percent.")
    if unit == "share" and not 0 <= condition.value <= 1:
        raise OptionError(f"{told}: {name} is a share, from 0 to 1 or from 0% to 100%.")
    if unit == "difference" and not -1 <= condition.value <= 1:
        raise OptionError(f"{told}: {name} is a difference of shares, from -1 to 1.")


def refuse_unmade(
    conditions: Iterable[Condition], sections: Collection[str], kinds: Collection[str]
) -> None:
    """Refuse gates on sections that are not made, before anything is done.

    Args:
        conditions: that `conditions_in` gave.
        sections: names of those that are made.
        kinds: of findings that these raise.

    Raises:
        OptionError: if a gate could not be judged.
    """
    for condition in conditions:
        fact = NUMBERS.get(condition.name)
        told = f'--fail-on "{condition.text}"'
        if fact and fact.section and fact.section not in sections:
            raise OptionError(f"{told}: the section {fact.section} is not made.")
        is_raised = any(fnmatchcase(kind, condition.which) for kind in kinds)
        if condition.name == "findings[]" and not is_raised:
            near = _nearest(condition.which, kinds)
            raise OptionError(f"{told}: no section that is made finds such a thing{near}.")


def judged_in_time(
    conditions: Sequence[Condition],
    report: Report,
    compared: Mapping[str, float | None] | None = None,
) -> tuple[Gate, ...]:
    """What each condition comes to for a saved report, of which all is known beforehand.

    Raises:
        OptionError: if one cannot be judged.
    """
    sections = [section.name for section in report.sections]
    refuse_unmade(conditions, sections, {rule.kind for rule in report.rules})
    gates = judged(conditions, report, compared)
    for gate in gates:
        if gate.outcome == "unknown":
            raise OptionError(f'--fail-on "{gate.condition}": {gate.words}.')
    return gates


def refuse_unlabelled(conditions: Iterable[Condition]) -> None:
    """Refuse gates that need the true class of images, where there is none.

    Raises:
        OptionError: if there is such a gate.
    """
    for condition in conditions:
        if condition.name in NUMBERS and NUMBERS[condition.name].needs_labels:
            raise OptionError(
                f'--fail-on "{condition.text}": the class of no image is known, so there is no '
                f"{condition.name}; put the images into one folder a class."
            )


def judged(
    conditions: Sequence[Condition],
    report: Report,
    compared: Mapping[str, float | None] | None = None,
) -> tuple[Gate, ...]:
    """What each condition comes to.

    Args:
        conditions: that `conditions_in` gave.
        report: of two that are compared, the newer one.
        compared: the numbers behind `compare:`.
    """
    gates = []
    for condition in conditions:
        readings: Iterable[Reading]
        if fact := NUMBERS.get(condition.name):
            readings = fact.read(report, condition.which)
        else:
            readings = (("", (compared or {}).get(condition.name.removeprefix(COMPARED))),)
        gates.append(_gate(condition, tuple(readings), report, compared or {}))
    return tuple(gates)


def failure(gates: Collection[Gate]) -> GateError | None:
    """What to tell of the gates that did not pass; None where all did."""
    failed = [gate for gate in gates if gate.outcome != "passed"]
    if not failed:
        return None
    # Names of layers and images are outside text, and this goes to a terminal.
    lines = [f"  {gate.condition}  ({gate.words})" for gate in failed]
    lines = ["".join(c if c.isprintable() else "\ufffd" for c in line) for line in lines]
    head = f"{len(failed)} of {len(gates)} gates failed:" if len(gates) > 1 else "The gate failed:"
    return GateError("\n".join([head, *lines]))


def _gate(
    condition: Condition,
    readings: Sequence[Reading],
    report: Report,
    compared: Mapping[str, float | None],
) -> Gate:
    known = [(subject, float(value)) for subject, value in readings if value is not None]
    if not known:
        why = _reason(condition, readings, report, compared)
        return Gate(condition.text, "unknown", None, why)
    # The worst first; of those that are not finite there is no worse.
    known.sort(key=lambda reading: _badness(condition, reading[1]))
    failing = [reading for reading in known if condition.holds(reading[1])]
    said = failing or known[:1]
    words = _listed([_said(subject, value, condition) for subject, value in said])
    if condition.which and not failing and len(known) > 1:
        words += f", the closest of {len(known):,}"
    value = known[0][1]
    return Gate(
        condition.text,
        "tripped" if failing else "passed",
        value if math.isfinite(value) else None,
        words,
    )


def _listed(names: Sequence[str]) -> str:
    words = ", ".join(names[:LISTED])
    return f"{words} and {len(names) - LISTED:,} more" if len(names) > LISTED else words


def _badness(condition: Condition, value: float) -> float:
    if not math.isfinite(value):
        return -math.inf
    if condition.operator in {">", ">="}:
        return -value
    if condition.operator in {"<", "<="}:
        return value
    distance = abs(value - condition.value)
    return distance if condition.operator == "==" else -distance


def _said(subject: str, value: float, condition: Condition) -> str:
    """`features.3: 12.5 %`, with the digits that it takes to see on which side the value lies."""
    text = "not finite"
    if math.isfinite(value):
        lengths = (3, 5, 8, 17)
        enough = (
            n for n in lengths if condition.holds(_rounded(value, n)) == condition.holds(value)
        )
        digits = next(enough)
        is_percent = _UNITS[condition.name] == "share" or condition.is_percent
        shown = 100 * value if is_percent else int(value) if value.is_integer() else value
        text = f"{number(shown, digits)}{' %' if is_percent else ''}"
    return f"{subject}: {text}" if subject else text


def _rounded(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")


def _reason(
    condition: Condition,
    readings: Sequence[Reading],
    report: Report,
    compared: Mapping[str, float | None],
) -> str:
    """Why there is no number to judge, in words."""
    if not readings:
        kind = condition.name.split("[")[0] if condition.name.startswith(_LISTS) else "layers"
        names = {
            "layers": [layer.title for layer in report.layers],
            "images": [image.path for image in report.images],
            "parameters": [parameter.name for parameter in report.parameters],
        }[kind]
        return f"no {kind[:-1]} is called {condition.which}{_nearest(condition.which, names)}"
    fact = NUMBERS.get(condition.name)
    failed = [section for section in report.sections if section.problem]
    if condition.name.startswith("findings"):
        return f"the section {failed[0].name} could not be made, so its findings are not known"
    if fact and fact.section in {section.name for section in failed}:
        return f"the section {fact.section} could not be made"
    if fact and condition.which:
        known = [subject for subject, value in fact.read(report, "*") if value is not None]
        but = f", but for {_listed(known)}" if known else ""
        return f"it is not defined for {_listed([subject for subject, _ in readings])}{but}"
    if fact and fact.needs_labels:
        return "the class of no image is known"
    if condition.name.startswith(COMPARED):
        # That number is None of networks without answers, and of two that give different things.
        is_of_answers = condition.name.startswith((f"{COMPARED}answers_", f"{COMPARED}accuracy_"))
        if is_of_answers and compared.get("answers_changed", 0) is None:
            return "it takes two networks that answer with classes, in the same way"
        return "it is not defined for these reports"
    return "the report holds no such number"
