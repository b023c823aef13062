"""Each kind of layer that is exported is found again, with its settings and what it computes."""

import io
from typing import Any, TypeAlias

import pytest
import torch
from torch import nn
from torchvision.models.convnext import LayerNorm2d

from reportgen.load.aten_layers import layer
from reportgen.load.exported import pt2_contents
from reportgen.load.program import Program
from reportgen.load.program_file import read_program

pytestmark = pytest.mark.filterwarnings("ignore")

Made: TypeAlias = tuple[nn.Module | None, Program]
ROW, MAP, CUBE = (4, 11), (4, 9, 11), (4, 7, 8, 9)
"Shapes of one image, its four channels first."
PLAIN: list[tuple[nn.Module, tuple[int, ...]]] = [
    (nn.AdaptiveAvgPool1d((3,)), ROW),
    (nn.AdaptiveAvgPool2d((3, 2)), MAP),
    (nn.AdaptiveMaxPool2d((3, 2)), MAP),
    (nn.AvgPool1d((3,), (2,), (1,), True, False), ROW),
    (nn.AvgPool2d((2, 3), (3, 2), (0, 1), True, False, 5), MAP),
    (nn.AvgPool3d((2, 3, 4), (3, 2, 1), (0, 1, 2), True, False, 5), CUBE),
    (nn.CELU(0.3), MAP),
    (nn.CELU(0.3, True), MAP),
    (nn.ChannelShuffle(2), MAP),
    (nn.Dropout(0.3), MAP),
    (nn.Dropout(0.3, True), MAP),
    (nn.Dropout2d(0.3), MAP),
    (nn.ELU(0.3), MAP),
    (nn.ELU(0.3, True), MAP),
    (nn.Flatten(), MAP),
    (nn.Flatten(2, 3), MAP),
    (nn.GELU(), MAP),
    (nn.GELU("tanh"), MAP),
    (nn.GLU(1), MAP),
    (nn.Hardsigmoid(), MAP),
    (nn.Hardsigmoid(True), MAP),
    (nn.Hardswish(), MAP),
    (nn.Hardswish(True), MAP),
    (nn.Hardtanh(-0.5, 0.25), MAP),
    (nn.Hardtanh(-0.5, 0.25, True), MAP),
    (nn.LeakyReLU(0.3), MAP),
    (nn.LeakyReLU(0.3, True), MAP),
    (nn.LogSoftmax(2), MAP),
    (nn.MaxPool1d((3,), (2,), (1,), (2,), ceil_mode=True), ROW),
    (nn.MaxPool2d((2, 3), (3, 2), (0, 1), (2, 1), ceil_mode=True), MAP),
    (nn.MaxPool2d((2, 3), None, (0, 0), (1, 1)), MAP),
    (nn.MaxPool3d((2, 3, 2), (3, 2, 1), (0, 1, 1), (1, 2, 3), ceil_mode=True), CUBE),
    (nn.Mish(), MAP),
    (nn.Mish(True), MAP),
    (nn.PixelShuffle(2), MAP),
    (nn.PixelUnshuffle(3), (4, 9, 6)),
    (nn.ReLU(), MAP),
    (nn.ReLU(True), MAP),
    (nn.ReLU6(), MAP),
    (nn.ReLU6(True), MAP),
    (nn.SELU(), MAP),
    (nn.SELU(True), MAP),
    (nn.SiLU(), MAP),
    (nn.SiLU(True), MAP),
    (nn.Sigmoid(), MAP),
    (nn.Softmax(2), MAP),
    (nn.Softplus(0.5, 1.5), MAP),
    (nn.Tanh(), MAP),
]
WEIGHED: list[tuple[nn.Module, tuple[int, ...]]] = [
    (nn.Conv1d(4, 6, 3, 2, 1, 2, 2), ROW),
    (nn.Conv1d(4, 6, 3, 2, 1, 2, bias=False), ROW),
    (nn.Conv2d(4, 6, (2, 3), (3, 2), (0, 1), (1, 2), 2), MAP),
    (nn.Conv2d(4, 6, (2, 3), (3, 2), (0, 1), (1, 2), bias=False), MAP),
    (nn.Conv2d(4, 6, (2, 3), padding="same"), MAP),
    (nn.Conv2d(4, 6, (2, 3), padding="valid", groups=2, bias=False), MAP),
    (nn.Conv3d(4, 6, (2, 3, 4), (3, 2, 1), (0, 1, 2), (1, 2, 1), 2), CUBE),
    (nn.Conv3d(4, 6, (2, 3, 4), bias=False), CUBE),
    (nn.ConvTranspose1d(4, 6, 3, 3, 1, 2, 2, dilation=2), ROW),
    (nn.ConvTranspose2d(4, 6, (2, 3), (3, 2), (0, 1), (2, 1), 2, True, (1, 2)), MAP),
    (nn.ConvTranspose2d(4, 6, (2, 3), bias=False), MAP),
    (nn.ConvTranspose3d(4, 6, (2, 3, 4), (3, 2, 1), (0, 1, 2), (2, 1, 0), 2), CUBE),
    (nn.BatchNorm1d(4, 0.03, 0.2), ROW),
    (nn.BatchNorm2d(4, 0.03, 0.2), MAP),
    (nn.BatchNorm2d(4, 0.03, 0.2, affine=False), MAP),
    (nn.BatchNorm2d(4, 0.03, 0.2, track_running_stats=False), MAP),
    (nn.BatchNorm3d(4, 0.03, 0.2), CUBE),
    (nn.LayerNorm((9, 11), 0.03), MAP),
    (nn.LayerNorm((9, 11), 0.03, bias=False), MAP),
    (nn.GroupNorm(2, 4, 0.03), MAP),
    (nn.PReLU(4), MAP),
    (nn.PReLU(1), MAP),
    (nn.Linear(11, 5), MAP),
    (nn.Linear(11, 5, bias=False), MAP),
]
PADDED: list[tuple[nn.Module, tuple[int, ...]]] = [
    (nn.Conv1d(4, 6, 3, 2, 2, 2, 2, padding_mode="reflect"), ROW),
    (nn.Conv2d(4, 6, (2, 3), (3, 2), (1, 2), (1, 2), 2, padding_mode="circular"), MAP),
    (nn.Conv2d(4, 6, (2, 3), (3, 2), (2, 1), bias=False, padding_mode="replicate"), MAP),
    (nn.Conv3d(4, 6, (2, 3, 4), padding=(3, 1, 2), padding_mode="reflect"), CUBE),
    (LayerNorm2d(4, eps=0.03), MAP),
]


def called(item: Any) -> str:
    return str(item) if isinstance(item, nn.Module) else ""


def example(shape: tuple[int, ...]) -> torch.Tensor:
    return torch.randn(2, *shape, generator=torch.Generator().manual_seed(len(shape)))


def found_again(original: nn.Module, shape: tuple[int, ...], *, is_core: bool = False) -> Made:
    """The layer that a program of one layer says, and that program."""
    net = nn.Sequential(original)
    program = torch.export.export(
        net, (example(shape),), dynamic_shapes=({0: torch.export.Dim("batch")},)
    )
    stream = io.BytesIO()
    torch.export.save(program.run_decompositions() if is_core else program, stream)
    read = read_program(pt2_contents(stream, "m.pt2")[1].program, "m.pt2")
    shapes = {path: tuple(tensor.shape) for path, tensor in net.state_dict().items()}
    return layer(read.operations, shapes), read


def with_values(original: nn.Module) -> nn.Module:
    """The layer with weights of which no two are equal, in evaluation mode."""
    draws = torch.Generator().manual_seed(1)
    for tensor in original.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=draws) + 0.5)
    return original.eval()


def settings(module: nn.Module) -> dict[str, Any]:
    """All that was said when a layer was made."""
    values = vars(module).items()
    padding = tuple(getattr(module, "_reversed_padding_repeated_twice", ()))
    return {name: value for name, value in values if not name.startswith("_")} | {"pad": padding}


def check_is_as(found: nn.Module | None, original: nn.Module, shape: tuple[int, ...]) -> None:
    """The same class, settings, names of weights, and answer to an image."""
    assert found is not None
    assert type(found) is type(original)
    assert all(tensor.is_meta for tensor in found.state_dict().values())
    found = found.to_empty(device="cpu").eval()
    found.load_state_dict(original.state_dict())
    assert settings(found) == settings(original)
    expected = original(example(shape))
    assert torch.equal(found(example(shape)), expected)
    assert not torch.equal(expected, torch.zeros_like(expected))


@pytest.mark.parametrize(("original", "shape"), PLAIN, ids=called)
def test_a_layer_without_weights(original: nn.Module, shape: tuple[int, ...]) -> None:
    made, program = found_again(original.eval(), shape)
    assert len(program.operations) == 1
    check_is_as(made, original, shape)


@pytest.mark.parametrize(("original", "shape"), WEIGHED + PADDED, ids=called)
def test_a_layer_with_weights(original: nn.Module, shape: tuple[int, ...]) -> None:
    made, _ = found_again(with_values(original), shape)
    check_is_as(made, original, shape)


IN_CORE = [
    (original, shape)
    for original, shape in WEIGHED
    if isinstance(original, (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.modules.batchnorm._BatchNorm))
    and not isinstance(getattr(original, "padding", 0), str)
    and getattr(original, "track_running_stats", True)
]


@pytest.mark.parametrize(("original", "shape"), IN_CORE, ids=called)
def test_a_layer_in_core_operations(original: nn.Module, shape: tuple[int, ...]) -> None:
    made, program = found_again(with_values(original), shape, is_core=True)
    (operation,) = program.operations
    assert operation.target in (
        "convolution.default",
        "_native_batch_norm_legit_no_training.default",
    )
    check_is_as(made, original, shape)


def test_a_linear_layer_in_core_operations() -> None:
    original = with_values(nn.Linear(7, 5))
    made, program = found_again(original, (7,), is_core=True)
    assert [operation.target for operation in program.operations] == [
        "permute.default",
        "addmm.default",
    ]
    check_is_as(made, original, (7,))


def test_a_norm_of_several_devices_is_one_of_maps() -> None:
    original = with_values(nn.SyncBatchNorm(4, 0.03, 0.2))
    made, _ = found_again(original, MAP)
    assert type(made) is nn.BatchNorm2d
    check_is_as(made, with_values(nn.BatchNorm2d(4, 0.03, 0.2)), MAP)


@pytest.mark.parametrize("original", [nn.Dropout(0.3), nn.Dropout2d(0.3)], ids=str)
def test_what_dropped_in_training_is_the_layer_that_does(original: nn.Module) -> None:
    made, program = found_again(original.train(), MAP)
    assert program.operations[0].arguments["train"] is True
    check_is_as(made, original.eval(), MAP)


SHORT: list[tuple[nn.Module, nn.Module, tuple[int, ...]]] = [
    (nn.MaxPool2d([2], [3], [1], [2]), nn.MaxPool2d((2, 2), (3, 3), (1, 1), (2, 2)), MAP),  # type: ignore[arg-type]
    (nn.AvgPool3d([2], [3], [1]), nn.AvgPool3d((2, 2, 2), (3, 3, 3), (1, 1, 1)), CUBE),  # type: ignore[arg-type]
    (
        nn.ConvTranspose2d(4, 6, (2, 3), [3], [1], [2], dilation=[2]),  # type: ignore[arg-type]
        nn.ConvTranspose2d(4, 6, (2, 3), 3, 1, 2, dilation=2),
        MAP,
    ),
]


@pytest.mark.parametrize(("given", "original", "shape"), SHORT, ids=called)
def test_one_number_for_all_axes_is_that_of_each(
    given: nn.Module, original: nn.Module, shape: tuple[int, ...]
) -> None:
    made, program = found_again(with_values(given), shape)
    assert len(program.operations[0].arguments["stride"]) == 1  # type: ignore[arg-type]
    check_is_as(made, with_values(original), shape)
