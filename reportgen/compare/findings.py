"""What changed, in plain words: one verdict, and findings with their numbers."""

from collections.abc import Iterator, Mapping, Sequence

from reportgen.compare.given import Given
from reportgen.compare.records import ImageChange, LayerChange, Subject
from reportgen.report.records import Finding, Rule

OTHER_REASONS = 0.5
"Rank correlation below which an occlusion map has moved."

RULES = (
    Rule("accuracy-fell", "Warning: of the labelled images that both saw, B answers fewer right."),
    Rule("accuracy-rose", "Remark: of these, B answers more right."),
    Rule("answers-changed", "Remark: an image has another most probable class in B than in A."),
    Rule("units-died", "Warning: a unit that fires on an image in A fires on none in B."),
    Rule("units-born", "Remark: a unit that fires on no image in A fires on one in B."),
    Rule(
        "other-reasons",
        "Warning: the answer is the same, and the occlusion map is not: rank correlation below "
        f"{OTHER_REASONS}.",
    ),
    Rule("weights-moved", "Remark: the layer whose weights moved most, relative to their norm."),
    Rule("widths-differ", "Remark: layers of the same name have another number of units."),
    Rule("layers-differ", "Remark: one of the two has layers that the other one has not."),
    Rule("not-alike", "Warning: images, preprocessing or settings of the two reports differ."),
    Rule("weights-unknown", "Remark: a report does not hold what it takes to compare weights."),
)


def verdict(
    subjects: tuple[Subject, Subject],
    metrics: Mapping[str, float | int | None],
    layers: Sequence[LayerChange],
    images: Sequence[ImageChange],
    *,
    is_unchanged: bool,
) -> str:
    """The comparison in one or two sentences: did answers get better, and what moved most."""
    a, b = (subject.name for subject in subjects)
    if is_unchanged:
        return f"Nothing changed from {a} to {b}: every number that both reports hold is the same."
    return f"{_answers(a, b, metrics, images)} {_inside(metrics, layers)}".strip()


def findings(
    a: Given,
    b: Given,
    metrics: Mapping[str, float | int | None],
    layers: Sequence[LayerChange],
    images: Sequence[ImageChange],
    differences: Sequence[str],
    only: tuple[Sequence[str], Sequence[str]],
) -> tuple[Finding, ...]:
    """Warnings first, then remarks."""
    found = (
        *_differences(differences),
        *_accuracy(a, b, metrics, images),
        *_units(a, b, layers),
        *_reasons(a, b, images),
        *_changed(images),
        *_weights(metrics, layers),
        *_shapes(a, b, layers, only),
    )
    return tuple(sorted(found, key=lambda finding: finding.severity != "warning"))


def percent(share: float) -> str:
    """A share as text, with one decimal below 10 %."""
    value = 100 * share
    if 0 < value < 0.1:
        return "under 0.1 %"
    return f"{value:.1f} %" if 0 < value < 9.95 else f"{value:.0f} %"


def counted(n: int, noun: str) -> str:
    """`1 image`, `1,024 images`."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def _right(share: float, labelled: int) -> int:
    return round(share * labelled)


def _answers(
    a: str, b: str, metrics: Mapping[str, float | int | None], images: Sequence[ImageChange]
) -> str:
    if not images:
        return f"{a} and {b} saw no image in common, so answers cannot be compared."
    changed = int(metrics["answers_changed"] or 0)
    of = f"of the {counted(len(images), 'image')} that both saw"
    moved = f"{counted(changed, 'answer')} {of} changed" if changed else f"no answer {of} changed"
    before, after = metrics["accuracy_a"], metrics["accuracy_b"]
    if before is None or after is None:
        return (
            f"{moved[0].upper()}{moved[1:]} from {a} to {b}; without labels, none is known right."
        )
    if before == after:
        tail = f"{b} is right on {percent(after)}, as {a} was"
    else:
        word = "better" if after > before else "worse"
        tail = f"{b} answers {word} than {a}: {percent(after)} right, after {percent(before)}"
    detail = ""
    if changed:
        corrected, broken = metrics["answers_corrected"], metrics["answers_broken"]
        detail = f" ({corrected} corrected, {broken} newly wrong)"
    return f"{tail[0].upper()}{tail[1:]}; {moved}{detail}."


def _inside(metrics: Mapping[str, float | int | None], layers: Sequence[LayerChange]) -> str:
    """What moved within the network."""
    parts = []
    most = _most_moved(layers)
    if most is not None and most.weight_change:
        parts.append(f"weights moved most in {most.title}, by {percent(most.weight_change)}")
    elif metrics["weight_change"] == 0:
        parts.append("no weight moved")
    died, born = metrics["units_died"], metrics["units_born"]
    if died or born:
        parts.append(f"{counted(int(died or 0), 'unit')} died and {int(born or 0):,} came to life")
    ratio = metrics["parameters_ratio"]
    if ratio is not None and ratio != 1:
        word = "fewer" if ratio < 1 else "more"
        parts.append(f"there are {percent(abs(ratio - 1))} {word} parameters")
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _most_moved(layers: Sequence[LayerChange]) -> LayerChange | None:
    known = [layer for layer in layers if layer.weight_change is not None]
    return max(known, key=lambda layer: layer.weight_change or 0.0, default=None)


def _differences(differences: Sequence[str]) -> Iterator[Finding]:
    for text in differences:
        yield Finding("warning", "not-alike", text, "index.html#alike")


def _accuracy(
    a: Given,
    b: Given,
    metrics: Mapping[str, float | int | None],
    images: Sequence[ImageChange],
) -> Iterator[Finding]:
    before, after = metrics["accuracy_a"], metrics["accuracy_b"]
    if before is None or after is None or before == after:
        return
    labelled = counted(sum(image.true_class is not None for image in images), "labelled image")
    text = f"{b.name} is right on {percent(after)} of the {labelled} that both saw, {a.name} on "
    text += f"{percent(before)}."
    if after < before:
        yield Finding("warning", "accuracy-fell", text, "images.html")
    else:
        yield Finding("info", "accuracy-rose", text, "images.html")


def _changed(images: Sequence[ImageChange]) -> Iterator[Finding]:
    changed = [image for image in images if image.outcome in ("broken", "corrected", "changed")]
    if changed:
        image = changed[0]
        before, after = image.answer_a, image.answer_b
        words = f"{image.path}: {before and before.label} became {after and after.label}"
        more = f", and {counted(len(changed) - 1, 'more image')}" if len(changed) > 1 else ""
        kinds = {"broken": " (newly wrong)", "corrected": " (corrected)"}
        text = f"{words}{kinds.get(image.outcome, '')}{more}."
        yield Finding("info", "answers-changed", text, "images.html")


def _units(a: Given, b: Given, layers: Sequence[LayerChange]) -> Iterator[Finding]:
    died = [layer for layer in layers if layer.died]
    born = [layer for layer in layers if layer.born]
    if died:
        count = sum(len(layer.died) for layer in died)
        most = max(died, key=lambda layer: len(layer.died))
        text = (
            f"{counted(count, 'unit')} that fired in {a.name} never {_fires(count)} in {b.name}, "
            f"{len(most.died):,} of them in {most.title}."
        )
        yield Finding("warning", "units-died", text, _page(most))
    if born:
        count = sum(len(layer.born) for layer in born)
        most = max(born, key=lambda layer: len(layer.born))
        text = f"{counted(count, 'unit')} dead in {a.name} {_fires(count)} in {b.name}, "
        text += f"{len(most.born):,} of them in {most.title}."
        yield Finding("info", "units-born", text, _page(most))


def _page(layer: LayerChange) -> str:
    return f"layers/{layer.slug}.html" if layer.has_page else "layers.html"


def _fires(count: int) -> str:
    return "fires" if count == 1 else "fire"


def _reasons(a: Given, b: Given, images: Sequence[ImageChange]) -> Iterator[Finding]:
    found = [
        (made.spearman, image)
        for image in images
        for made in image.maps
        if image.outcome == "same" and made.method == "occlusion" and made.spearman is not None
        if made.spearman < OTHER_REASONS
    ]
    if found:
        least, image = min(found, key=lambda item: item[0])
        more = f"; so it is for {counted(len(found) - 1, 'more image')}" if len(found) > 1 else ""
        text = (
            f"{image.path}: the answer is the same, from other places. The occlusion maps of "
            f"{a.name} and {b.name} correlate by {_number(least)}{more}."
        )
        yield Finding("warning", "other-reasons", text, f"images/{image.slug}.html#occlusion")


def _number(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def _weights(
    metrics: Mapping[str, float | int | None], layers: Sequence[LayerChange]
) -> Iterator[Finding]:
    most = _most_moved(layers)
    if most is None:
        text = (
            "Neither layer by layer nor in all can weights be compared: no layer with weights has "
            "the same shape in both, or a report was made before they were kept; build it again."
        )
        yield Finding("info", "weights-unknown", text, "layers.html")
    elif most.weight_change:
        about = "about " if most.weight_error else ""
        change = metrics["weight_change"]
        whole = "" if change is None else f", all weights together by {about}{percent(change)}"
        text = f"Weights moved most in {most.title}, by {about}{percent(most.weight_change)} of "
        text += f"their norm{whole}."
        yield Finding("info", "weights-moved", text, _page(most))


def _shapes(
    a: Given,
    b: Given,
    layers: Sequence[LayerChange],
    only: tuple[Sequence[str], Sequence[str]],
) -> Iterator[Finding]:
    other = [layer for layer in layers if layer.units_a != layer.units_b]
    if other:
        most = max(other, key=lambda layer: abs(layer.units_a - layer.units_b))
        text = (
            f"{counted(len(other), 'layer')} of the same name {_has(len(other))} another width: "
            f"{most.title} has {counted(most.units_a, 'unit')} in {a.name} and {most.units_b:,} in "
            f"{b.name}. Their units cannot be compared one by one, their totals are."
        )
        yield Finding("info", "widths-differ", text, "layers.html#widths")
    for given, names in ((a, only[0]), (b, only[1])):
        if names:
            text = f"{counted(len(names), 'layer')} only in {given.name}: {', '.join(names[:3])}"
            text += f" and {len(names) - 3:,} more." if len(names) > 3 else "."
            yield Finding("info", "layers-differ", text, "layers.html#only")


def _has(count: int) -> str:
    return "has" if count == 1 else "have"
