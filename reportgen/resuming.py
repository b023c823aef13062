"""What is kept of a pass over many images beside the output, so that a killed run can go on.

The file lies hidden beside the folder of the report, and goes once that is written. It is bound to
what the run was made from: another run's is refused.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from reportgen.errors import OptionError
from reportgen.load.image_set import ImageSet
from reportgen.load.model import LoadedModel
from reportgen.options import Options
from reportgen.provenance import provenance
from reportgen.report.arrays import Array
from reportgen.write.replacing import forget, replacing

BINDING = "binding"
"Entry of the file that says what the run was made from, as JSON."


_UNREADABLE = (OSError, ValueError, LookupError, AttributeError, TypeError, EOFError, BadZipFile)
"What numpy and JSON raise for what is no state; for a plain array there is nothing to close."


class Kept:
    """The state of a pass, in a file: what `passing.Keeper` asks for."""

    def __init__(
        self,
        path: Path,
        binding: Mapping[str, str],
        *,
        every: float,
        is_resumed: bool,
        passed_over: str = "",
    ) -> None:
        """Writes nothing yet.

        Args:
            path: of the file.
            binding: what the run is made from, by a word that a user knows.
            every: seconds between two states.
            is_resumed: whether what a run before kept is taken up.
            passed_over: images of which a state is no use, and is let be.
        """
        self._path = path
        self._binding = dict(binding)
        self._every = every
        self._is_resumed = is_resumed
        self._passed_over = passed_over
        self._is_used = False
        self._last = time.monotonic()

    def taken_up(self) -> Mapping[str, Array] | None:
        """What a run before this one kept, if that is asked for and there is something.

        Raises:
            OptionError: if it is of another run, or cannot be read.
        """
        if not self._is_resumed or not self._path.exists():
            return None
        try:
            with np.load(self._path, allow_pickle=False) as file:
                theirs = json.loads(file[BINDING].tobytes())
                differing = [
                    word for word, found in self._binding.items() if theirs.get(word) != found
                ]
                rows = {name: file[name] for name in file.files if not differing}
        except _UNREADABLE as error:
            raise OptionError(
                f"--resume: {self._path} cannot be read, so it is not what a run left there; "
                "remove it, or build without --resume to start anew."
            ) from error
        if differing == ["images"] and theirs["images"] == self._passed_over:
            return None
        if differing:
            raise OptionError(
                f"--resume: {self._path} was left by another run, with other "
                f"{' and '.join(differing)}; repeat that command, or build without --resume to "
                "start anew."
            )
        self._is_used = True
        return rows

    def is_due(self) -> bool:
        """Whether the last state is old enough."""
        return time.monotonic() - self._last >= self._every

    def is_used(self) -> bool:
        """Whether there is a state of this run."""
        return self._is_used

    def keep(self, rows: Mapping[str, Array]) -> None:
        """Writes the state in place of the one before.

        Raises:
            OutputError: if it cannot be written.
        """
        bound = np.frombuffer(json.dumps(self._binding).encode(), np.uint8)
        with replacing(self._path) as file:
            np.savez(file, **{BINDING: bound, **rows})  # type: ignore[arg-type]
        self._is_used = True
        self._last = time.monotonic()


def kept_state(
    options: Options,
    loaded: LoadedModel,
    images: ImageSet,
    listed: ImageSet,
    device: str,
    rank: int,
    size: int,
    is_resumed: bool,
) -> Kept:
    """Where one process of a build keeps its state.

    Args:
        options: of the build.
        loaded: its network.
        images: of the pass.
        listed: the same before damaged ones were left out. What a run kept that did not know of
            them yet is passed over, as it would have been there.
        device: name of what the network runs on.
        rank: of the process.
        size: number of processes.
        is_resumed: whether what a run before kept is taken up.
    """
    made = provenance(options, "", device, options.batch_size)
    binding = {
        "weights": loaded.sha256,
        "images": _images(images),
        "options": _digest([made.config, made.files, made.device]),
        "versions": _digest([made.reportgen, made.versions]),
        "number of processes": f"{rank} of {size}",
    }
    return Kept(
        state_file(options.output, rank),
        binding,
        every=options.checkpoint_every,
        is_resumed=is_resumed,
        passed_over=_images(listed),
    )


def state_file(output: Path, rank: int) -> Path:
    """The file of a process, beside the folder of the report."""
    target = output.resolve()
    return target.with_name(f".{target.name}.resume-{rank}.npz")


def forget_states(output: Path, size: int) -> None:
    """Removes what a run of so many processes kept, now that its report stands."""
    for rank in range(size):
        forget(state_file(output, rank))


def _images(images: ImageSet) -> str:
    return _digest([(f.path, f.sha256, f.true_class, f.true_index) for f in images.files])


def _digest(facts: object) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
