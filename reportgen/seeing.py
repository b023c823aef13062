"""The pass of a build over all its images: in shares of several processes, and resumed."""

from dataclasses import replace

from reportgen.analyses.units import FEWEST_IMAGES, unit_calls
from reportgen.checking import checked_by_all
from reportgen.load.ahead import workers_of
from reportgen.load.image_set import ImageSet
from reportgen.load.images import over_whole_images
from reportgen.load.model import LoadedModel
from reportgen.options import Options
from reportgen.probe.evidence import Evidence
from reportgen.probe.probe import Probe
from reportgen.progress import Progress
from reportgen.resuming import kept_state, state_file
from reportgen.team import Processes


def seen(
    options: Options,
    loaded: LoadedModel,
    images: ImageSet,
    probe: Probe,
    progress: Progress,
    team: Processes | None,
    *,
    is_kept: bool,
) -> tuple[ImageSet, Evidence]:
    """What the network did on all images, and the images without those that are damaged.

    Args:
        options: of the build.
        loaded: the network.
        images: as they were listed.
        probe: of the network.
        progress: told of the images done.
        team: the processes that share them.
        is_kept: whether the state is kept beside the output every so often.
    """
    listed = images = replace(
        images, workers=workers_of(options), is_pinned=probe.device.type == "cuda"
    )
    rank, size = (team.rank, team.size) if team else (0, 1)
    is_resumed = options.resume and state_file(options.output, rank).exists()
    if team or (is_kept and is_resumed):
        # Else a damaged image would begin the pass again, on one of the processes alone.
        images = checked_by_all(images, team, loaded.sha256)

    def watched(images: ImageSet) -> Evidence:
        count = len(images.files)
        progress.stage("Running the network", count)
        keeper = None
        if is_kept:
            keeper = kept_state(
                options, loaded, images, listed, probe.device_name, rank, size, is_resumed
            )
        return probe.collect(
            images.batches,
            count,
            range(count) if count <= options.max_images else (),
            keep_arrays=options.save_arrays,
            layers=options.layers,
            task=options.task,
            correlated=unit_calls if count >= FEWEST_IMAGES else None,
            progress=progress.reached,
            keeper=keeper,
            team=team,
        )

    return over_whole_images(images, watched)
