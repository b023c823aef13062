"""What the compiled code finds, against PyTorch's own functions; and that no GPU is waited for."""

import ctypes
import math
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from reportgen.probe import collector, compiled, reduction, strongest
from reportgen.probe.evidence import Evidence
from reportgen.probe.probe import Probe
from reportgen.probe.statistics import LayerStatistics
from reportgen.probe.strongest import StrongestImages
from tests.probe.nets import Residual, batches_of, photos, seeded
from tests.probe.transformers import SIZE, Vit, loud

EXACT = ("minimum", "maximum", "positive", "zeros", "fired", "nonfinite", "images", "positions")
NINE = ("image", "row", "column", "value")


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(math.prod(shape)))


def holed() -> torch.Tensor:
    values = noise(7, 5, 300)
    values[:, 1] = math.nan
    values[2, 0] = math.inf
    values[3, 2, ::3] = -math.inf
    values[4, 3, :299] = math.nan
    values[5, 4, 0], values[5, 4, 299] = math.nan, math.inf
    return values


def mixed() -> torch.Tensor:
    """What makes bins widen again and again, in units that other threads may take."""
    scales = torch.tensor([1e-40, 3e-5, 1.0, 130.0, 1e9, 3e38])
    return noise(5, 6, 64).clamp(-1, 1) * scales[:, None]


VALUES = {
    "one": torch.full((1, 1, 1), -2.5),
    "short rows": noise(16, 33, 49),
    "rows that just fit": noise(3, 2, 4096),
    "rows of several blocks": noise(2, 3, 3 * 4096 + 257),
    "more images than fit a block": noise(200, 3, 49),
    "rectified": noise(9, 4, 210).relu(),
    "constant": torch.full((4, 3, 77), 1e-3),
    "nothing but zeros of both signs": noise(3, 2, 50).sign().mul(0.0),
    "holes": holed(),
    "infinities that cancel": torch.tensor([[[math.inf, -math.inf, 1.0, -2.0]]]),
    "many scales": mixed(),
    "the largest numbers": noise(3, 4, 65).sign() * torch.finfo(torch.float32).max,
    "denormal": noise(3, 4, 65) * 2.0**-140,
    "powers of two": noise(3, 4, 65).sign() * 2.0 ** torch.arange(-30, 35),
    "a mean far above the spread": noise(6, 3, 1000) * 1e-3 + 1000.0,
    "holes in short rows": holed()[..., :20].contiguous(),
    "one position": noise(70, 96, 1),
    "one position of many units, with holes": noise(300, 77, 1).where(
        noise(300, 77, 1).abs() < 1.5, math.nan
    ),
    "a few images of a few positions each": noise(37, 32, 5),
    "one value far from the others": torch.cat([torch.full((1, 1, 1), 1e7), noise(1, 1, 9999)], 2),
}


def side_by_side(values: torch.Tensor) -> torch.Tensor:
    """The same units again and again, until they fill four vectors and a part of a fifth, each with
    its neighbour beside it in memory."""
    many = values.repeat(1, 69, 1)[:, :69]
    found = many.transpose(1, 2).contiguous().transpose(1, 2)
    assert reduction.are_side_by_side(found)
    return found


VALUES |= {
    f"{name}, side by side": side_by_side(values)
    for name, values in VALUES.items()
    if values.shape[2] > 1
}


def parts(values: torch.Tensor, with_numba: bool, patch: pytest.MonkeyPatch) -> LayerStatistics:
    if not with_numba:
        patch.setattr(reduction, "compiled", lambda: None)
    total = LayerStatistics(values.shape[1])
    found = reduction.parts(values)
    total.add(found)
    finite = torch.isfinite(values)
    literal = torch.where(finite, values, -torch.inf)
    highest = reduction.highest_in(found)
    assert torch.equal(highest.values, literal.amax(2).to(highest.values))
    assert torch.equal(highest.places, literal.argmax(2))
    assert any(part.is_broken for part in found) == (not finite.all())
    patch.undo()
    return total


@pytest.fixture(autouse=True)
def numba_works_here() -> None:
    """The tests below would otherwise compare PyTorch with itself."""
    assert reduction.compiled()


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES.keys())
@pytest.mark.parametrize("threads", [1, 3])
def test_compiled_code_agrees_with_pytorch(
    values: torch.Tensor, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with threads_of_torch(threads):
        ours = parts(values, True, monkeypatch).evidence()
    theirs = parts(values, False, monkeypatch).evidence()
    for name in EXACT:
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name), name)
    assert ours.histogram.exponent == theirs.histogram.exponent
    np.testing.assert_array_equal(ours.histogram.counts, theirs.histogram.counts)
    assert ours.histogram.counts.sum() == torch.isfinite(values).sum()
    size = values.double().abs().nan_to_num(0.0, 0.0, 0.0).amax()
    np.testing.assert_allclose(ours.mean, theirs.mean, rtol=1e-12, atol=1e-15 * float(size))
    np.testing.assert_allclose(ours.variance, theirs.variance, rtol=1e-12)


@contextmanager
def threads_of_torch(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("side", ["", ", side by side"])
@pytest.mark.parametrize("name", ["short rows", "rows of several blocks", "many scales", "holes"])
def test_no_bit_depends_on_the_number_of_threads(name: str, side: str) -> None:
    found, name = [], name + side
    for threads in (1, 2, 5):
        with threads_of_torch(threads):
            total, nine = LayerStatistics(VALUES[name].shape[1]), nine_of(VALUES[name], 3)
            total.update(VALUES[name])
        evidence = total.evidence()
        moments = (evidence.mean.tobytes(), evidence.variance.tobytes())
        bins = (evidence.histogram.exponent, evidence.histogram.counts.tobytes())
        found.append((*moments, *bins, *(getattr(nine, part).tobytes() for part in NINE)))
    assert found[0] == found[1] == found[2]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="one thread elsewhere")
def test_the_threads_are_those_of_pytorch() -> None:
    assert compiled._openmp()
    library = ctypes.CDLL("libtorch_cpu.so", mode=os.RTLD_NOLOAD | os.RTLD_NOW)
    for count in (1, 3):
        with threads_of_torch(count):
            assert library.omp_get_max_threads() == count


def nine_of(values: torch.Tensor, size: int) -> Any:
    total = StrongestImages(values.shape[1], 1)
    for first in range(0, len(values), size):
        batch = values[first : first + size]
        total.update(reduction.highest_in(reduction.parts(batch)), first)
    return total.evidence()


@pytest.mark.parametrize("side", ["", ", side by side"])
@pytest.mark.parametrize("name", ["more images than fit a block", "rectified", "holes", "constant"])
def test_the_nine_are_those_that_numpy_finds(
    name: str, side: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name += side
    ours = nine_of(VALUES[name], 4)
    monkeypatch.setattr(strongest, "compiled", lambda: None)
    theirs = nine_of(VALUES[name], 4)
    for part in NINE:
        np.testing.assert_array_equal(getattr(ours, part), getattr(theirs, part))


def test_strides_of_any_kind_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    values = noise(40, 6, 5).permute(2, 1, 0)
    assert not values.is_contiguous()
    ours, theirs = parts(values, True, monkeypatch), parts(values, False, monkeypatch)
    np.testing.assert_array_equal(ours.evidence().maximum, theirs.evidence().maximum)
    np.testing.assert_array_equal(
        ours.evidence().histogram.counts, theirs.evidence().histogram.counts
    )
    narrowed = noise(5, 6, 40).narrow(2, 3, 30)
    assert narrowed.stride(2) == 1
    for part in NINE:
        np.testing.assert_array_equal(
            getattr(nine_of(narrowed, 2), part), getattr(nine_of(narrowed.clone(), 2), part)
        )


class Waits(TorchFunctionMode):
    """Notes every function that would make the processor wait for a GPU."""

    NAMES = ("item", "cpu", "numpy", "tolist", "__array__", "nonzero", "unique", "masked_select")
    NAMES += ("__bool__", "__int__", "__float__", "__index__", "bincount", "equal", "allclose")

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        leaves = name == "to" and any(str(value) == "cpu" for value in (*args, *kwargs.values()))
        by_mask = name in ("__getitem__", "__setitem__") and any(
            isinstance(index, torch.Tensor) and index.dtype == torch.bool
            for index in (args[1] if isinstance(args[1], tuple) else (args[1],))
        )
        if name in self.NAMES or leaves or by_mask:
            self.seen.append(name)
        return func(*args, **kwargs)


def collected(net: nn.Module, images: torch.Tensor, patch: pytest.MonkeyPatch, apart: bool) -> Any:
    """Evidence, and what would have waited inside of the hooks."""
    if apart:
        for module in (reduction, collector):
            patch.setattr(module, "is_here", lambda values: False)
    waits = Waits()
    leave = collector.Collector.leave

    def watched(*args: Any) -> None:
        # An observer is called where no functions are told of.
        with torch._C._EnableTorchFunction(), waits:
            leave(*args)

    patch.setattr(collector.Collector, "leave", watched)
    chosen = {
        "correlated": lambda calls, classes, observed: [c for c in calls if c.key in observed]
    }
    evidence = Probe(net, "cpu", 3).collect(batches_of(images), len(images), [1, 4], **chosen)
    patch.undo()
    return evidence, waits.seen


def check_same(ours: Evidence, theirs: Evidence) -> None:
    assert ours.layers.keys() == theirs.layers.keys()
    for key, layer in ours.layers.items():
        other = theirs.layers[key]
        for name in EXACT:
            np.testing.assert_array_equal(getattr(layer, name), getattr(other, name))
        np.testing.assert_array_equal(layer.histogram.counts, other.histogram.counts)
        np.testing.assert_allclose(layer.variance, other.variance, rtol=1e-12)
    assert ours.strongest.keys() == theirs.strongest.keys()
    for key, nine in ours.strongest.items():
        for part in NINE:
            np.testing.assert_array_equal(getattr(nine, part), getattr(theirs.strongest[key], part))
    for key, table in ours.class_correlations.items():
        np.testing.assert_array_equal(table, theirs.class_correlations[key])
    for index, found in ours.pictures.items():
        assert found.keys() == theirs.pictures[index].keys()
        for key, picture in found.items():
            for name, value in vars(picture).items():
                if isinstance(value, np.ndarray):
                    np.testing.assert_array_equal(value, getattr(theirs.pictures[index][key], name))


@pytest.mark.parametrize("kind", ["residual", "tokens"])
def test_no_gpu_is_waited_for_inside_the_hooks(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of values that are said to lie on a GPU: the same results, and nothing that would wait."""
    if kind == "residual":
        net, images = seeded(lambda: Residual(True, True)).float(), photos(7).float()
    else:
        net = loud(lambda: Vit("fused", 2, 1, "mean")).float()
        images = noise(7, 3, *SIZE)
    theirs, waits = collected(net, images, monkeypatch, apart=False)
    assert waits, "the test would not see what waits"
    ours, waits = collected(net, images, monkeypatch, apart=True)
    assert waits == []
    check_same(ours, theirs)


@pytest.mark.parametrize("apart", [False, True])
def test_memory_does_not_grow_with_the_images(apart: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reduction, "is_here", lambda values: not apart)
    values = noise(600, 400, 6)
    sizes = []
    for count in (30, 30, 600):
        tracemalloc.start()
        total, nine = LayerStatistics(400), StrongestImages(400, 3)
        for first in range(0, count, 10):
            found = reduction.parts(values[first : first + 10])
            total.add(found)
            nine.update(reduction.highest_in(found), first)
        sizes.append(tracemalloc.get_traced_memory())
        tracemalloc.stop()
    # The first round fills caches that Python keeps. Of tensors only the objects are seen, not what
    # they hold: a hundred bytes for each that is kept of 60 batches.
    _, (kept, peak), (kept_of_many, peak_of_many) = sizes
    assert kept_of_many - kept < 5_000
    assert peak_of_many - peak < 60_000


@pytest.mark.parametrize("side", ["", ", side by side"])
def test_fewer_threads_than_asked_for_leave_nothing_unread(side: str) -> None:
    script = (
        "import torch; from tests.probe.test_reduction import VALUES, reduction\n"
        f"values = VALUES['short rows{side}']; torch.set_num_threads(3)\n"
        "(part,) = reduction.parts(values)\n"
        "print(len(part.bins), int(part.bins[:, :-1].sum()) == values.numel())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "OMP_THREAD_LIMIT": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert done.stdout.split() == ["1", "True"]


@pytest.mark.parametrize("with_numba", [True, False])
@pytest.mark.parametrize("positions", [1, 3])
def test_zero_has_no_sign_however_the_images_are_split(
    positions: int, with_numba: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not with_numba:
        monkeypatch.setattr(reduction, "compiled", lambda: None)
        monkeypatch.setattr(strongest, "compiled", lambda: None)
    values = torch.full((12, 32, positions), -0.0)
    total, nine = LayerStatistics(32), StrongestImages(32, positions)
    for first in (0, 5, 10):
        found = reduction.parts(values[first : first + 5])
        total.add(found)
        nine.update(reduction.highest_in(found), first)
    evidence = total.evidence()
    for numbers in (evidence.minimum, evidence.maximum, evidence.mean, nine.evidence().value):
        assert not numbers.any()
        assert not np.signbit(numbers).any()


def test_it_ends_where_tiny_numbers_are_flushed_to_zero() -> None:
    script = (
        "import torch; from reportgen.probe.statistics import LayerStatistics as S\n"
        "torch.set_num_threads(1); assert torch.set_flush_denormal(True)\n"
        "s = S(16); s.update(torch.zeros(2, 15, 16).permute(0, 2, 1)); e = s.evidence()\n"
        "print(e.zeros.tolist(), e.maximum.tolist())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=300
    )
    assert done.stdout.strip() == f"{[30] * 16} {[0.0] * 16}"


@pytest.mark.parametrize("missing", ["import", "compiler"])
def test_without_numba_the_numbers_are_the_same(missing: str, tmp_path: Path) -> None:
    stub = {"import": "raise ImportError('none here')", "compiler": "def njit(f): return f"}
    (tmp_path / "numba.py").write_text(stub[missing])
    script = (
        "import torch; from reportgen.probe.statistics import LayerStatistics as S\n"
        "s = S(2); s.update(torch.arange(12.0).reshape(2, 2, 3)); e = s.evidence()\n"
        "print(e.mean.tolist(), e.maximum.tolist(), e.histogram.exponent)"
    )
    root = Path(reduction.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": f"{tmp_path}:{root}", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[4.0, 7.0] [8.0, 11.0] -3"
    assert "for want of numba" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "obstacle",
    [
        "import numba.core.caching as c\n"
        "def none(*_): return None\n"
        "for locator in c.CacheImpl._locator_classes: locator.from_function = none",
        "import pwd\ndef unknown(uid): raise KeyError(uid)\npwd.getpwuid = unknown",
        "import numba.core.caching as c\n"
        "def cut_off(self): raise EOFError\n"
        "c.IndexDataCacheFile._load_index = cut_off",
    ],
    ids=["nothing can be written", "no home", "what was kept is cut off"],
)
def test_it_compiles_where_nothing_can_be_kept(obstacle: str, tmp_path: Path) -> None:
    script = (
        "import sys; from reportgen.probe import probe, reduction\n"
        "assert 'numba' not in sys.modules, 'imported before a network runs'\n"
        f"{obstacle}\n"
        "assert reduction.compiled()\n"
        "from reportgen.probe.occlusion import delta_kernels"
    )
    root = Path(reduction.__file__).parents[2]
    environment = {"PYTHONPATH": str(root)}
    subprocess.run([sys.executable, "-c", script], env=environment, cwd=tmp_path, check=True)
    assert not list(tmp_path.iterdir())
