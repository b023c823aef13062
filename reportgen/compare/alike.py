"""Whether two reports are of the same thing, and whether anything changed between them."""

from collections.abc import Iterator, Sequence

from reportgen.compare.given import Given
from reportgen.compare.records import Comparison, ImageChange, LayerChange, MapChange
from reportgen.report.records import Report
from reportgen.report.tasks import GIVES

_PREPARED = ("height", "width", "resize", "interpolation", "mean", "std", "channels", "slices")


def prepared(report: Report) -> tuple[object, ...]:
    """What every image goes through, but for who says so."""
    return tuple(getattr(report.model.preprocessing, name) for name in _PREPARED)


def differences(a: Given, b: Given, images: Sequence[ImageChange]) -> Iterator[str]:
    """Why numbers of the two are not of the same thing, one sentence each."""
    counts, shared = (len(a.report.images), len(b.report.images)), len(images)
    if counts != (shared, shared):
        yield (
            f"{a.name} saw {counts[0]:,} images and {b.name} {counts[1]:,}; {shared:,} are the "
            "same. Answers and maps are compared on these; activations, sparsity and dead units "
            "are each over the report's own."
        )
    pairs = zip(_PREPARED, prepared(a.report), prepared(b.report), strict=True)
    changed = [name for name, one, other in pairs if one != other]
    if changed:
        yield (
            f"Images were prepared differently ({', '.join(changed)}), so maps are not compared, "
            "and activations differ for that reason too."
        )
    tasks = a.report.model.task, b.report.model.task
    classes = a.report.model.classes, b.report.model.classes
    if tasks[0] != tasks[1]:
        one, other = (GIVES.get(task, task) for task in tasks)
        yield f"{a.name} gives {one} and {b.name} {other}, so answers and maps are not compared."
    elif classes[0] != classes[1] and tasks[0] == "regress":
        yield f"{a.name} gives {classes[0]:,} values and {b.name} {classes[1]:,}."
    elif classes[0] != classes[1]:
        yield (
            f"{a.name} tells {classes[0]:,} classes apart and {b.name} {classes[1]:,}: answers are "
            "compared by the names of the classes."
        )
    if not changed and tasks[0] == tasks[1]:
        problems = [made.problem for image in images for made in image.maps if made.problem]
        for problem in dict.fromkeys(problems):
            count = problems.count(problem)
            yield f"{count:,} {'map is' if count == 1 else 'maps are'} not compared. {problem}"


def is_unchanged(made: Comparison) -> bool:
    """Whether every number that both reports hold is the same."""
    a, b = made.subjects[0], made.subjects[-1]
    only = made.layers_only_a, made.layers_only_b, made.parameters_only_a, made.parameters_only_b
    return (
        not made.differences
        and not any(only)
        and (a.parameters, a.macs) == (b.parameters, b.macs)
        and all(parameter.change == 0 for parameter in made.parameters)
        and all(map(_is_same_layer, made.layers))
        and all(
            (image.answer_a, image.said_a) == (image.answer_b, image.said_b)
            for image in made.images
        )
        and all(_is_same_map(one) for image in made.images for one in image.maps)
    )


def _is_same_layer(layer: LayerChange) -> bool:
    first = (layer.units_a, layer.mean_a, layer.std_a, layer.zero_a, layer.dead_a)
    second = (layer.units_b, layer.mean_b, layer.std_b, layer.zero_b, layer.dead_b)
    return first == second and not (layer.distance or layer.died or layer.born)


def _is_same_map(made: MapChange) -> bool:
    if made.map_a is None or made.map_b is None:
        return False
    return made.map_a.values.tobytes() == made.map_b.values.tobytes()
