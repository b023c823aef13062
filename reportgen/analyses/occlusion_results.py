"""The occlusion of each pictured image, shared out where a run has several processes."""

from collections.abc import Iterator

from reportgen.analyses.sharing import in_shares, shared
from reportgen.analyses.study import Study
from reportgen.analyses.targets import targets
from reportgen.options import Options
from reportgen.probe.occlusion.occlude import occlusion
from reportgen.probe.occlusion.places import fill_image, positions
from reportgen.probe.passing import Rows


def results(study: Study) -> Iterator[Rows]:
    """The occlusion of every pictured image, as `OcclusionResult.rows`."""
    prepared = study.images.preprocessing
    size = (prepared.height, prepared.width)
    window, stride = window_and_stride(study.options, size)
    count = len(positions(size[0], window[0], stride[0]))
    count *= len(positions(size[1], window[1], stride[1]))
    team, images, explained = study.team, study.pictured, targets(study)
    mine = shared(team, images)

    def work(index: int) -> Rows:
        pixels = study.images.pixels(index)

        def told(done: int, _: int) -> None:
            if study.progress is not None:
                study.progress(mine.index(index) * count + done, len(mine) * count)

        return occlusion(
            study.probe,
            pixels,
            study.images.normalise,
            fill_image(pixels, study.options.occlusion_fill, prepared.mean),
            window,
            stride,
            explained[index].index,
            told,
            study.options.occlusion_engine,
        ).rows()

    return in_shares(team, images, work)


def window_and_stride(
    options: Options, size: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Window and stride in pixels, each (down, across).

    By default a square of a seventh of the shorter side, 32 pixels at 224, moved by half of it.
    """
    side = max(1, round(min(size) / 7))
    down, across = options.occlusion_window
    window = (down or side, across or side)
    step_down, step_across = options.occlusion_stride
    stride = (step_down or max(1, window[0] // 2), step_across or max(1, window[1] // 2))
    return window, stride
