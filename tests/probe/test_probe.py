"""The network is given back as found, a batch halves when memory runs out, NaN says nothing."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from reportgen.errors import ModelError, OptionError, ReportgenError, ResourceError
from reportgen.probe.evidence import CallKey, MapPicture
from reportgen.probe.probe import Probe
from reportgen.probe.watch import Observer, Watch
from tests.probe.nets import Residual, batches_of, photos, seeded

IMAGES = photos(5)


class Touchy(Residual):
    """Frozen batch norm, training flags that differ, dropout, a counter and hooks of its own."""

    def __init__(self) -> None:
        super().__init__(is_inplace=True, is_reused=True)
        self.drop = nn.Dropout(0.5)
        self.register_buffer("runs", torch.zeros(1, dtype=torch.int64))
        self.register_buffer("last_runs", torch.zeros(1, dtype=torch.int64))
        self.fail: Callable[[], None] = lambda: None
        self.train()
        self.bn2.eval()
        self.conv1.weight.requires_grad_(False)
        self.conv1.register_forward_hook(lambda module, args, output: None)
        self.fc.register_forward_pre_hook(lambda module, args: None)

    def train(self, mode: bool = True) -> nn.Module:
        """A network may give this another meaning."""
        return super().train(True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.runs += 1
        self.last_runs = self.runs + 1
        x = F.relu(x, inplace=True)
        x = super().forward(self.drop(x))
        torch.rand(3)
        self.fail()
        return x


def state(net: nn.Module) -> list[object]:
    """All that must be as it was."""
    hooks = [
        (
            list(m._forward_hooks.values()),
            list(m._forward_pre_hooks.values()),
            list(m._backward_hooks),
        )
        for m in net.modules()
    ]
    # Registries remember which hooks take keyword arguments, and which are called in any case.
    extra = [
        (
            len(m._forward_hooks_with_kwargs),
            len(m._forward_pre_hooks_with_kwargs),
            len(m._forward_hooks_always_called),
        )
        for m in net.modules()
    ]
    return [
        [(name, value.clone().tolist()) for name, value in net.state_dict().items()],
        [m.training for m in net.modules()],
        [(p.requires_grad, p.grad, p.device, p.dtype) for p in net.parameters()],
        hooks,
        extra,
        torch.get_rng_state().tolist(),
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.get_default_dtype(),
        torch.get_num_threads(),
        torch.backends.mha.get_fastpath_enabled(),
        torch.overrides._len_torch_function_stack(),  # type: ignore[attr-defined]
    ]


def touchy() -> nn.Module:
    net = seeded(Touchy)
    net.train()
    net.bn2.eval()
    return net


def interrupted() -> None:
    raise KeyboardInterrupt


def broken() -> None:
    raise ValueError("out of order")


def test_an_expanded_buffer_is_no_obstacle() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 5, 2))
    # Four rows in the memory of one, which nothing can write to.
    net.register_buffer("rows", torch.arange(5.0).expand(4, 5))
    Probe(net, "cpu").logits(photos(2, 3, 4, 5))
    assert net.rows.equal(torch.arange(5.0).repeat(4, 1))


def test_as_found_after_success() -> None:
    net, images = touchy(), IMAGES.clone()
    before = state(net)
    probe = Probe(net, "cpu", 2)
    probe.collect(batches_of(images), 5, [0, 3])
    probe.logits(images)
    assert state(net) == before
    assert torch.equal(images, IMAGES)


@pytest.mark.parametrize("after", [0, 1, 3])
def test_as_found_after_an_error_in_the_network(after: int) -> None:
    """In the first forward pass, in the followed one, and while images are collected."""
    net = touchy()
    runs = iter(range(100))
    net.fail = lambda: broken() if next(runs) >= after else None
    before = state(net)
    with pytest.raises((ModelError, ValueError), match="out of order"):
        Probe(net, "cpu", 2).collect(batches_of(IMAGES), 5, [0])
    assert state(net) == before


@pytest.mark.parametrize("after", [0, 1, 3])
def test_as_found_after_control_c_in_the_network(after: int) -> None:
    net = touchy()
    runs = iter(range(100))
    net.fail = lambda: interrupted() if next(runs) >= after else None
    before = state(net)
    with pytest.raises(KeyboardInterrupt):
        Probe(net, "cpu", 2).collect(batches_of(IMAGES), 5, [0])
    assert state(net) == before


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
@pytest.mark.parametrize("moment", range(20))
def test_as_found_after_an_error_in_any_hook(error: type[BaseException], moment: int) -> None:
    """Each call is told twice: ten calls, so twenty moments."""

    class Failing(Observer):
        told = 0

        def tell(self) -> None:
            self.told += 1
            if self.told > moment:
                raise error("here")

        def enter(self, key: CallKey, inputs: object) -> None:
            self.tell()

        def leave(self, key: CallKey, source: object, output: torch.Tensor) -> None:
            self.tell()

    net = touchy()
    before = state(net)
    probe = Probe(net, "cpu")
    with pytest.raises(error, match="here"), probe.borrow(), Watch(net, Failing()):
        net(IMAGES.clone())
    after = state(net)
    assert after == before


def test_as_found_after_control_c_while_telling_progress() -> None:
    net = touchy()
    before = state(net)
    with pytest.raises(KeyboardInterrupt):
        Probe(net, "cpu", 2).collect(
            batches_of(IMAGES), 5, [0], progress=lambda done, n: interrupted()
        )
    assert state(net) == before


def test_one_watch_serves_many_passes() -> None:
    told: list[str] = []

    class Names(Observer):
        def leave(self, key: CallKey, source: object, output: torch.Tensor) -> None:
            told.append(str(key))

    net = seeded(lambda: Residual(is_reused=True))
    with torch.no_grad(), Watch(net, Names()):
        net(IMAGES)
        with pytest.raises(RuntimeError):
            net(IMAGES[:, :2])
        first, told[:] = told[:8], []
        net(IMAGES)
    assert first == told == ["conv1", "bn1", "relu", "conv2", "bn2", "relu#2", "pool", "fc"]


class Limited(nn.Module):
    """Holds `room` images and no more."""

    def __init__(self, room: int, message: str = "", error: type[Exception] = RuntimeError) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.fc = nn.Linear(4, 3)
        self.room, self.message, self.error = room, message, error
        self.tried: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.tried.append(len(x))
        y = self.conv(x)
        if len(x) > self.room:
            raise self.error(self.message)
        return self.fc(F.relu(y).mean((2, 3)))


OUT_OF_MEMORY = [
    (RuntimeError, "[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
    (torch.OutOfMemoryError, "CUDA out of memory. Tried to allocate 2.00 GiB."),
    (RuntimeError, "MPS backend out of memory"),
    (RuntimeError, "CUDA error: CUBLAS_STATUS_ALLOC_FAILED"),
]


@pytest.mark.parametrize(("error", "message"), OUT_OF_MEMORY)
def test_the_batch_halves_when_memory_runs_out(error: type[Exception], message: str) -> None:
    images = photos(11)
    small, large = (seeded(lambda room=room: Limited(room, message, error)) for room in (2, 99))
    probe = Probe(small, "cpu", 8)
    evidence = probe.collect(batches_of(images), 11, [7])
    expected = Probe(large, "cpu", 2).collect(batches_of(images), 11, [7])
    # Once for the first forward pass, once followed and once with channels last; then 8 halves to
    # 4 and 2, and stays there.
    assert small.tried[:6] == [2, 2, 2, 8, 4, 2]
    assert set(small.tried[6:]) == {1, 2}
    assert probe.batch_size == 2
    for key, found in evidence.layers.items():
        other = expected.layers[key]
        assert found.images == 11
        for name in ("positive", "zeros", "fired", "minimum", "maximum", "mean", "variance"):
            np.testing.assert_array_equal(getattr(found, name), getattr(other, name))
        picture, twin = evidence.pictures[7][key], expected.pictures[7][key]
        if isinstance(picture, MapPicture):
            np.testing.assert_array_equal(picture.tiles, twin.tiles)
    np.testing.assert_array_equal(
        [found.classes for found in evidence.answers], [found.classes for found in expected.answers]
    )


def test_logits_halve_as_well() -> None:
    net = seeded(lambda: Limited(3, "can't allocate memory"))
    images = photos(10)
    probe = Probe(net, "cpu", 10)
    net.room, whole = 99, probe.logits(images)
    net.room = 3
    assert torch.allclose(probe.logits(images), whole, atol=1e-6)
    assert probe.batch_size == 2


def test_one_image_that_does_not_fit_is_told() -> None:
    net = seeded(lambda: Limited(0, "out of memory"))
    probe = Probe(net, "cpu", 4)
    with pytest.raises(ResourceError, match=r"memory of cpu.*3 x 20 x 29 image.*--input-size"):
        probe.logits(IMAGES)
    with pytest.raises(ResourceError, match=r"3 x 20 x 29"):
        probe.collect(batches_of(IMAGES), 5, [])
    assert ResourceError.exit_code == 7


def test_other_errors_do_not_halve() -> None:
    net = seeded(lambda: Limited(3, "something else"))
    with pytest.raises(ModelError, match="RuntimeError: something else"):
        Probe(net, "cpu", 4).logits(IMAGES)
    assert net.tried == [2, 2, 4], "both orders of memory are tried first, on two copies"


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_network_with_a_broken_weight_gives_no_answer(bad: float) -> None:
    net = seeded(Residual)
    with torch.no_grad():
        net.conv2.weight[3, 0, 0, 0] = bad
    evidence = Probe(net, "cpu").collect(batches_of(IMAGES), 5, [0])
    for answer in evidence.answers:
        assert len(answer.classes) == len(answer.probabilities) == len(answer.logits) == 0
    layers = evidence.layers
    assert not layers[CallKey("bn1")].nonfinite.any()
    assert layers[CallKey("conv2")].nonfinite[3] > 0
    assert not np.delete(layers[CallKey("conv2")].nonfinite, 3).any()
    assert np.isfinite(np.delete(layers[CallKey("conv2")].mean, 3)).all()
    assert layers[CallKey("fc")].nonfinite.all()


def test_a_map_with_holes_is_drawn_on_the_range_of_the_rest() -> None:
    class Holes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act = nn.Identity()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.hardtanh(x, -4, 4).nan_to_num(0.0).mean((2, 3))

    images = torch.tensor([[[[1.0, math.nan, 3.0], [-math.inf, 2.0, 0.0]]]])
    evidence = Probe(Holes(), "cpu").collect(batches_of(images), 1, [0])
    picture = evidence.pictures[0][CallKey("F.hardtanh")]
    assert isinstance(picture, MapPicture)
    # -inf is held to -4 by the function itself.
    assert (picture.low[0], picture.high[0]) == (-4, 3)
    np.testing.assert_array_equal(picture.tiles[0], [[181, 0, 254], [0, 218, 145]])


def test_a_unit_of_nan_alone_is_drawn_as_nothing() -> None:
    net = seeded(lambda: nn.Sequential(nn.Conv2d(3, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    with torch.no_grad():
        net[0].bias[1] = math.nan
    evidence = Probe(net, "cpu").collect(batches_of(IMAGES), 5, [0])
    picture = evidence.pictures[0][CallKey("0")]
    assert isinstance(picture, MapPicture)
    assert picture.tiles[0].any()
    assert not picture.tiles[1].any()
    assert math.isnan(picture.low[1])


def test_images_are_cast_to_the_networks_number_format() -> None:
    net = seeded(Residual).float()
    assert Probe(net, "cpu").logits(IMAGES).dtype == torch.float32


def test_another_device_gets_a_copy() -> None:
    net = seeded(Residual)
    probe = Probe(net, "cpu")
    assert probe._module is net
    assert probe.device == torch.device("cpu")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda net: Probe(net, "toaster"), r"--device toaster: this machine has no such device"),
        (lambda net: Probe(net, "meta"), r"--device meta: it holds no values"),
        (lambda net: Probe(net, "cpu", 0), r"batch size is 0"),
    ],
)
def test_settings_that_make_no_sense(make: Callable[[nn.Module], Probe], said: str) -> None:
    with pytest.raises(OptionError, match=said) as caught:
        make(seeded(Residual))
    assert isinstance(caught.value, ReportgenError)


def test_batches_may_be_a_generator_of_any_size() -> None:
    def uneven(size: int) -> Iterator[torch.Tensor]:
        yield IMAGES[:1]
        yield IMAGES[1:]

    net = seeded(Residual)
    found = Probe(net, "cpu", 2).collect(uneven, 5, [2])
    expected = Probe(net, "cpu", 5).collect(batches_of(IMAGES), 5, [2])
    for key, layer in found.layers.items():
        np.testing.assert_array_equal(layer.positive, expected.layers[key].positive)
