"""Real processes of the command, in environments that differ in all that must not matter."""

import os
import stat
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bytes.sources import Sources, made_sources

ROOT = Path(__file__).parent.parent.parent
KEPT = ("PATH", "LD_LIBRARY_PATH", "SSL_CERT_FILE")
"Of our own environment; the rest is made up."


@dataclass(frozen=True)
class Place:
    """One machine, as far as a process can tell: where it runs, who, when, how wide."""

    folder: Path
    sources: Sources
    environment: Mapping[str, str]
    cwd: Path
    is_relative: bool
    is_backwards: bool
    "Flags come in the other order."
    umask: int = 0o022
    cpus: tuple[int, ...] = ()

    def path(self, place: Path) -> str:
        """How a file is spelled here."""
        if not self.is_relative:
            return str(place)
        return f"./nothing/../{os.path.relpath(place, self.cwd)}"

    def run(self, *words: str, flags: Sequence[Sequence[str]] = ()) -> str:
        """Standard output of the command, which must succeed."""
        ordered = [word for flag in flags[:: -1 if self.is_backwards else 1] for word in flag]
        done = subprocess.run(
            # `-P`: the folder that it runs in is no place for modules, as with the real command.
            [sys.executable, "-P", "-m", "reportgen", *words, *ordered],
            cwd=self.cwd,
            env={**self.environment, "PYTHONPATH": str(ROOT)},
            umask=self.umask,
            capture_output=True,
            check=False,
            preexec_fn=self._narrow,
        )
        assert done.returncode == 0, (done.returncode, done.stderr.decode(errors="replace"))
        return done.stdout.decode()

    def _narrow(self) -> None:
        if self.cpus and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, self.cpus)


def here(root: Path) -> Place:
    """A tidy machine: one thread, absolute paths."""
    folder = root / "Aardvark-Cwd-20"
    sources = made_sources(folder / "in", "Jackal-Photos-32")
    return Place(
        folder, sources, _environment(folder, "one", "C.UTF-8", "UTC", 1), folder, False, False,
        cpus=(min(os.sched_getaffinity(0)),) if hasattr(os, "sched_getaffinity") else (),
    )  # fmt: skip


def elsewhere(root: Path) -> Place:
    """One where everything is otherwise."""
    folder = root / "other" / "Ocelot-Cwd-21"
    sources = made_sources(folder / "sources" / "deep", "Kakapo-Photos-31", backwards=True)
    cwd = folder / "work"
    (cwd / "nothing").mkdir(parents=True)
    # Settings of others, which are none of our business.
    (cwd / "matplotlibrc").write_text("axes.facecolor: red\nfont.size: 31\nsvg.fonttype: none\n")
    (cwd / "seaborn.py").write_text("raise SystemExit('a module of the folder was imported')\n")
    environment = _environment(folder, "two", "C", "XYZ-5:45", 4)
    environment |= {
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "SOURCE_DATE_EPOCH": "1234567890",
        "MPLCONFIGDIR": str(folder / "settings"),
        "COLUMNS": "41",
        "FORCE_COLOR": "1",
        "OPENBLAS_NUM_THREADS": "3",
    }
    for place in sorted(sources.model.parent.rglob("*"), reverse=True):
        os.utime(place, (86_400, 86_400))
        place.chmod(0o555 if place.is_dir() else 0o444)
    return Place(folder, sources, environment, cwd, True, True, umask=0o077)


def _environment(folder: Path, name: str, locale: str, zone: str, threads: int) -> dict[str, str]:
    home, temporary = folder / f"Home-{name}-Gecko-22", folder / f"Temp-{name}-Ibis-23"
    for place in (home, temporary):
        place.mkdir(parents=True)
    return {
        **{key: os.environ[key] for key in KEPT if key in os.environ},
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "USER": f"Lemur-{name}-24",
        "LOGNAME": f"Lemur-{name}-24",
        "HOSTNAME": f"Marmot-{name}-25",
        "TZ": zone,
        "LC_ALL": locale,
        "PYTHONHASHSEED": str(threads),
        "OMP_NUM_THREADS": str(threads),
        "SECRET_TOKEN": f"Okapi-{name}-26",
    }


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Mode and content of every file and folder below, by path."""
    found = {}
    for place in sorted(folder.rglob("*")):
        assert not place.is_symlink(), place
        content = b"" if place.is_dir() else place.read_bytes()
        found[place.relative_to(folder).as_posix()] = (stat.S_IMODE(place.stat().st_mode), content)
    return found


def differences(
    one: Mapping[str, tuple[int, bytes]], other: Mapping[str, tuple[int, bytes]]
) -> list[str]:
    """A line for each path that is not the same in both, with what is seen of it first."""
    lines = []
    for path in sorted({*one, *other}):
        a, b = one.get(path), other.get(path)
        if a is None or b is None:
            lines.append(f"{path}: only in {'the other' if a is None else 'one'}")
        elif a[0] != b[0]:
            lines.append(f"{path}: mode {a[0]:o} and {b[0]:o}")
        elif a[1] != b[1]:
            pairs = enumerate(zip(a[1], b[1], strict=False))
            at = next((i for i, (x, y) in pairs if x != y), min(len(a[1]), len(b[1])))
            before = max(0, at - 60)
            lines.append(f"{path}: {a[1][before : at + 40]!r} and {b[1][before : at + 40]!r}")
    return lines
