"""`make fuzz`: searches for a model file that breaks the reading of model files.

Run as `python -m tests.fuzz FOLDER [flags of libFuzzer]`. What is found is written to FOLDER as
`crash-...`; the next run begins with it. `python -m tests.fuzz FOLDER/crash-...` shows it again.
"""

import json
import pickletools
import resource
import sys
import zipfile
from pathlib import Path

import atheris
from torch._weights_only_unpickler import Unpickler

with atheris.instrument_imports(include=["reportgen"]):
    from tests.fuzz.seeds import seeds
    from tests.fuzz.target import outcome

_READERS = (Unpickler.load, pickletools._genops, json.decoder.JSONDecoder.raw_decode)
_READERS += (zipfile.ZipFile._RealGetContents, zipfile._EndRecData)
"What of others reads a file's bytes in Python: its branches guide the search, too."
_MORE_MEMORY = 6 << 30


def main() -> None:
    """Fuzz until libFuzzer's flags say that it is enough."""
    torn = Path(sys.argv[1])
    found = torn.parent if torn.is_file() else torn
    if not torn.is_file():
        torn.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(seeds()):
            (torn / f"seed-{number:02}").write_bytes(seed)
    # A file that asks for terabytes meets the limit that a build has, too.
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + _MORE_MEMORY, resource.RLIM_INFINITY))
    for reader in _READERS:
        atheris.instrument_func(reader)
    atheris.Setup([*sys.argv, "-timeout=20", f"-artifact_prefix={found}/"], outcome_of)
    atheris.Fuzz()


def outcome_of(data: bytes) -> None:
    """One input."""
    outcome(data)


main()
