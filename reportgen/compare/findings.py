"""What changed, in plain words: one verdict, and findings with their numbers."""

import math
from collections.abc import Iterator, Sequence

from reportgen.compare.alike import is_unchanged
from reportgen.compare.answers import in_words, other_outputs
from reportgen.compare.records import Comparison, LayerChange
from reportgen.report.records import Finding, Rule, Severity

OTHER_REASONS = 0.5
"Rank correlation below which an occlusion map has moved."

_ORDER: Sequence[Severity] = ("error", "warning", "info")

RULES = (
    Rule(
        "not-finite",
        "Error: one of the two holds NaN or infinite values, in weights, activations or answers; a "
        "remark where it is the first alone.",
    ),
    Rule(
        "accuracy-fell",
        "Warning: of the labelled images that both saw, the last answers fewer right than A.",
    ),
    Rule("accuracy-rose", "Remark: of these, it answers more right."),
    Rule(
        "answers-changed",
        "Remark: an image has another most probable class in the last than in A; where several may "
        "hold at once, other classes above one half.",
    ),
    Rule(
        "units-died",
        "Warning: a unit that fires on an image in A fires on none in the last; a remark where the "
        "two did not see the same images.",
    ),
    Rule("units-born", "Remark: a unit that fires on no image in A fires on one in the last."),
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


def verdict(made: Comparison) -> str:
    """The comparison in one or two sentences: did answers get better, and what moved most."""
    a, b = _names(made)
    if is_unchanged(made):
        return f"Nothing changed from {a} to {b}: every number that both reports hold is the same."
    return f"{_capital(_answers(made))}. {_capital(_inside(made))}".strip()


def findings(made: Comparison) -> tuple[Finding, ...]:
    """Errors first, then warnings, then remarks."""
    found = (
        *_not_finite(made),
        *_differences(made),
        *_accuracy(made),
        *_units(made),
        *_reasons(made),
        *_changed(made),
        *_weights(made),
        *_shapes(made),
    )
    return tuple(sorted(found, key=lambda finding: _ORDER.index(finding.severity)))


def _not_finite(made: Comparison) -> Iterator[Finding]:
    a, b = made.subjects[0], made.subjects[-1]
    for subject, other in ((a, b), (b, a)):
        if subject.nonfinite:
            without = sum(
                (image.answer_a if subject is a else image.answer_b) is None
                for image in made.images
                if subject.task != "detect"
            )
            text = f"{subject.name} holds {_counted(subject.nonfinite, 'value')} that "
            text += f"{'is' if subject.nonfinite == 1 else 'are'} NaN or infinite"
            if without:
                text += f"; {without:,} of the {_counted(len(made.images), 'image')} that both saw "
                text += f"{'has' if without == 1 else 'have'} no finite answer"
            is_mended = subject is a and not other.nonfinite
            severity: Severity = "info" if is_mended else "error"
            yield Finding(severity, "not-finite", f"{text}.", "images.html")


def _answers(made: Comparison) -> str:
    """Whether answers got better, and how many changed."""
    (a, b), metrics = _names(made), made.metrics
    if not made.images:
        return f"no image is in both {a} and {b}, so answers cannot be compared"
    if made.outputs != "answers":
        return other_outputs(made)
    of = f"of the {_counted(len(made.images), 'image')} that both saw"
    changed = int(metrics["answers_changed"] or 0)
    moved = f"{_counted(changed, 'answer') if changed else 'no answer'} {of} changed"
    before, after = metrics["accuracy_a"], metrics["accuracy_b"]
    if before is None or after is None:
        return f"{moved} from {a} to {b}; without labels, none is known to be right"
    if before == after:
        head = f"as many answers are right in {b} as in {a}, {_percent(after)}"
    else:
        word = "better" if after > before else "worse"
        head = f"answers got {word} from {a} to {b}: {_percent(after)} right, "
        head += f"after {_percent(before)}"
    if not changed:
        return f"{head}; {moved}"
    corrected, broken = metrics["answers_corrected"], metrics["answers_broken"]
    return f"{head}; {moved} ({corrected} corrected, {broken} newly wrong)"


def _inside(made: Comparison) -> str:
    """What moved within the network; empty where nothing did."""
    metrics, parts = made.metrics, []
    first, last = made.subjects[0], made.subjects[-1]
    most = _most_moved(made)
    if most is not None and most.weight_change:
        parts.append(f"weights moved most in {most.title}, by {_percent(most.weight_change)}")
    elif metrics["weight_change"] == 0:
        is_same = all(one.shape_a == one.shape_b for one in made.parameters)
        parts.append("no weight moved" if is_same else "no weight that kept its shape moved")
    died, born = int(metrics["units_died"] or 0), int(metrics["units_born"] or 0)
    # On other images units fire and are silent for that reason too.
    if (died or born) and made.has_same_images:
        parts.append(f"{_counted(died, 'unit') if died else 'no unit'} died, {born:,} came to life")
    elif first.dead != last.dead:
        parts.append(f"dead units went from {first.dead:,} to {last.dead:,}")
    ratio = metrics["parameters_ratio"]
    if ratio is not None and ratio != 1:
        word = "fewer" if ratio < 1 else "more"
        parts.append(f"there are {_percent(abs(ratio - 1))} {word} parameters")
    return f"{'; '.join(parts)}." if parts else ""


def _differences(made: Comparison) -> Iterator[Finding]:
    for text in made.differences:
        yield Finding("warning", "not-alike", text, "index.html#alike")


def _accuracy(made: Comparison) -> Iterator[Finding]:
    (a, b), metrics = _names(made), made.metrics
    before, after = metrics["accuracy_a"], metrics["accuracy_b"]
    if before is None or after is None or before == after:
        return
    labelled = sum(image.right_a is not None for image in made.images)
    text = f"{b} is right on {_percent(after)} of the {_counted(labelled, 'labelled image')} that "
    text += f"both saw, {a} on {_percent(before)}."
    if after < before:
        yield Finding("warning", "accuracy-fell", text, "images.html")
    else:
        yield Finding("info", "accuracy-rose", text, "images.html")


def _changed(made: Comparison) -> Iterator[Finding]:
    changed = [
        image for image in made.images if image.outcome in ("broken", "corrected", "changed")
    ]
    if changed:
        image = changed[0]
        task = made.subjects[0].task  # that of both, or no answer changed
        labels = [
            in_words(task, answer, said) if answer else "no finite answer"
            for answer, said in ((image.answer_a, image.said_a), (image.answer_b, image.said_b))
        ]
        words = f"{image.path}: {labels[0]} became {labels[1]}"
        kind = {"broken": " (newly wrong)", "corrected": " (corrected)"}.get(image.outcome, "")
        yield Finding(
            "info", "answers-changed", f"{words}{kind}{_and_more(changed, 'image')}.", "images.html"
        )


def _units(made: Comparison) -> Iterator[Finding]:
    a, b = _names(made)
    died = [layer for layer in made.layers if layer.died]
    born = [layer for layer in made.layers if layer.born]
    caution = "" if made.has_same_images else "; they saw other images, which may be all of it"
    if died:
        count = sum(len(layer.died) for layer in died)
        most = max(died, key=lambda layer: len(layer.died))
        of, where = _place(most.title, len(most.died), count)
        text = f"{_counted(count, 'unit')}{of} that fired in {a} never {_fires(count)} in {b}"
        text += f"{where}{caution}."
        severity: Severity = "warning" if made.has_same_images else "info"
        yield Finding(severity, "units-died", text, _page(most))
    if born:
        count = sum(len(layer.born) for layer in born)
        most = max(born, key=lambda layer: len(layer.born))
        of, where = _place(most.title, len(most.born), count)
        text = f"{_counted(count, 'unit')}{of} dead in {a} {_fires(count)} in {b}{where}{caution}."
        yield Finding("info", "units-born", text, _page(most))


def _reasons(made: Comparison) -> Iterator[Finding]:
    a, b = _names(made)
    found = [
        (one.spearman, image)
        for image in made.images
        for one in image.maps
        if image.outcome == "same" and one.method == "occlusion" and one.spearman is not None
        if one.spearman < OTHER_REASONS
    ]
    if found:
        least, image = min(found, key=lambda item: item[0])
        number = f"{least:.2f}".replace("-", "−")
        text = f"{image.path}: the answer is the same, from other places. The occlusion maps of "
        text += f"{a} and {b} correlate by {number}{_and_more(found, 'image')}."
        yield Finding("warning", "other-reasons", text, f"images/{image.slug}.html#occlusion")


def _weights(made: Comparison) -> Iterator[Finding]:
    most = _most_moved(made)
    if most is None:
        text = (
            "How far weights moved is not known: no layer with weights has the same shape in both, "
            "or a report does not hold them; build it again, with the section of weights."
        )
        yield Finding("info", "weights-unknown", text, "layers.html")
    elif most.weight_change:
        about = "about " if most.weight_error else ""
        change = made.metrics["weight_change"]
        whole = ""
        if change is not None and math.isfinite(change):
            whole = f", all weights together by {about}{_percent(change)}"
        text = f"Weights moved most in {most.title}, by {about}{_percent(most.weight_change)} of "
        yield Finding("info", "weights-moved", f"{text}their norm{whole}.", _page(most))


def _shapes(made: Comparison) -> Iterator[Finding]:
    a, b = _names(made)
    other = [layer for layer in made.layers if layer.units_a != layer.units_b]
    if other:
        most = max(other, key=lambda layer: abs(layer.units_a - layer.units_b))
        have = "has" if len(other) == 1 else "have"
        text = (
            f"{_counted(len(other), 'layer')} of the same name {have} another width: {most.title} "
        )
        text += f"has {_counted(most.units_a, 'unit')} in {a} and {most.units_b:,} in {b}. Units "
        text += "cannot be compared one by one there, totals are."
        yield Finding("info", "widths-differ", text, "layers.html#widths")
    for name, titles in ((a, made.layers_only_a), (b, made.layers_only_b)):
        if titles:
            text = f"{_counted(len(titles), 'layer')} only in {name}: {', '.join(titles[:3])}"
            text += f" and {len(titles) - 3:,} more." if len(titles) > 3 else "."
            yield Finding("info", "layers-differ", text, "layers.html#only")


def _names(made: Comparison) -> tuple[str, str]:
    return made.subjects[0].name, made.subjects[-1].name


def _most_moved(made: Comparison) -> LayerChange | None:
    known = [layer for layer in made.layers if layer.weight_change is not None]
    return max(known, key=lambda layer: layer.weight_change or 0.0, default=None)


def _page(layer: LayerChange) -> str:
    return f"layers/{layer.slug}.html" if layer.has_page else "layers.html"


def _percent(share: float) -> str:
    """A share as text, with one decimal below 10 %."""
    value = 100 * share
    if 0 < value < 0.1:
        return "under 0.1 %"
    return f"{value:.1f} %" if 0 < value < 9.95 else f"{value:.0f} %"


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def _and_more(items: Sequence[object], noun: str) -> str:
    return f"; and {_counted(len(items) - 1, f'more {noun}')}" if len(items) > 1 else ""


def _place(title: str, part: int, count: int) -> tuple[str, str]:
    """Words after `3 units`, and words at the end, that say how many are of one layer."""
    return ("", f", {part:,} of them in {title}") if part < count else (f" of {title}", "")


def _fires(count: int) -> str:
    return "fires" if count == 1 else "fire"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
