"""Operations that nearly were a layer of torch.nn stay functions; those that were become it."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from torchvision.models.convnext import LayerNorm2d

from reportgen.load.aten_layers import layer
from reportgen.load.program import Frame, Name, Operation, Weight

X = Name("x")
SHAPES = {"m.weight": (4, 2, 3, 3), "m.bias": (4,), "m.slope": (4,), "o.bias": (4,)}
SHAPES |= {
    "n.weight": (4,),
    "p.weight": (4,),
    "l.weight": (5, 4),
    "l.bias": (5,),
    "m.running_mean": (4,),
    "m.running_var": (4,),
}


def operation(
    target: str, kind: str, path: str = "m", result: str = "y", **given: Any
) -> Operation:
    names = {"x": "input", "self": "self"}
    arguments = {names.get(name, name): value for name, value in given.items()}
    frame = Frame(path, f"torch.nn.modules.any.{kind}", "1")
    return Operation(target, arguments, (result,), True, (frame,))


def convolution(**changed: Any) -> Operation:
    given = {"x": X, "weight": Weight("m.weight"), "bias": Weight("m.bias"), "stride": (1, 1)}
    given |= {"padding": (0, 0), "dilation": (1, 1), "transposed": False}
    given |= {"output_padding": (0, 0), "groups": 1}
    return operation("convolution.default", "Conv2d", **(given | changed))


def test_a_convolution_is_one_with_its_settings() -> None:
    made = layer([convolution(stride=(2, 1), padding=(1, 0))], SHAPES)
    assert isinstance(made, nn.Conv2d)
    assert (made.stride, made.padding, made.in_channels) == ((2, 1), (1, 0), 2)


def test_an_activation_with_weights_is_one() -> None:
    found = operation("prelu.default", "PReLU", "p", self=X, weight=Weight("p.weight"))
    made = layer([found], SHAPES)
    assert isinstance(made, nn.PReLU) and made.num_parameters == 4


def test_an_empty_stride_is_that_of_the_window() -> None:
    found = operation("max_pool2d.default", "MaxPool2d", self=X, kernel_size=(2, 3), stride=())
    made = layer([found], SHAPES)
    assert isinstance(made, nn.MaxPool2d) and made.stride == (2, 3)


def linear(**changed: Any) -> list[Operation]:
    turned = operation("t.default", "Linear", "l", "t", self=Weight("l.weight"))
    given = {"self": Weight("l.bias"), "mat1": X, "mat2": Name("t"), "beta": 1, "alpha": 1}
    return [turned, operation("addmm.default", "Linear", "l", **(given | changed))]


def test_a_linear_layer_that_was_taken_apart_is_one() -> None:
    made = layer(linear(), SHAPES)
    assert isinstance(made, nn.Linear) and (made.in_features, made.out_features) == (4, 5)


def padded(mode: str = "reflect", pad: tuple[int, ...] = (1, 1, 2, 2)) -> list[Operation]:
    front = operation("pad.default", "Conv2d", "m", "q", self=X, pad=pad, mode=mode)
    given = {"weight": Weight("m.weight"), "bias": Weight("m.bias"), "stride": (1, 1)}
    given |= {"padding": (0, 0), "dilation": (1, 1), "groups": 1}
    return [front, operation("conv2d.default", "Conv2d", "m", x=Name("q"), **given)]


def test_a_convolution_that_pads_by_itself_is_one() -> None:
    made = layer(padded(), SHAPES)
    assert isinstance(made, nn.Conv2d)
    assert (made.padding_mode, made.padding) == ("reflect", (2, 1))


def changed(operation: Operation, **arguments: Any) -> Operation:
    return replace(operation, arguments={**operation.arguments, **arguments})


def norm(**given: Any) -> Operation:
    usual = {"x": X, "weight": Weight("m.slope"), "bias": Weight("m.bias"), "running_mean": None}
    usual |= {"running_var": None, "training": False, "momentum": 0.1, "eps": 1e-5}
    return operation(
        *("batch_norm.default", "BatchNorm2d", "m"), **usual | given, cudnn_enabled=False
    )


def permuted(dims: tuple[int, ...] = (0, 2, 3, 1), weight: str = "m.weight") -> list[Operation]:
    before = operation("permute.default", "LayerNorm2d", "m", "a", self=X, dims=dims)
    given = {"weight": Weight(weight), "bias": Weight("m.bias"), "eps": 1e-5}
    norm = operation(
        "layer_norm.default", "LayerNorm2d", "m", "b", x=Name("a"), normalized_shape=(4,), **given
    )
    after = operation("permute.default", "LayerNorm2d", "m", self=Name("b"), dims=(0, 3, 1, 2))
    return [before, norm, after]


STATISTICS = {"running_mean": Weight("m.running_mean"), "running_var": Weight("m.running_var")}

NEARLY: dict[str, list[Operation]] = {
    "a dropout that drops": [operation("dropout.default", "Dropout", x=X, p=5.0, train=False)],
    "no image comes in": [operation("relu.default", "ReLU", self=3)],
    "a softmax in another format": [
        operation("softmax.int", "Softmax", self=X, dim=1, dtype=torch.float64)
    ],
    "a size that is computed": [
        operation("adaptive_avg_pool2d.default", "AdaptiveAvgPool2d", self=X, output_size=(X, X))
    ],
    "a bias that is computed": [convolution(bias=Name("z"))],
    "a kernel that is computed": [convolution(weight=Name("z"))],
    "a bias of another layer": [convolution(bias=Weight("o.bias"))],
    "groups that are computed": [convolution(groups="2")],
    "a norm with a weight and no bias": [
        operation(
            *("batch_norm.default", "BatchNorm2d", "n"),
            **{"x": X, "weight": Weight("n.weight"), "bias": None, "running_mean": None},
            **{"running_var": None, "training": False, "momentum": 0.1, "eps": 1e-5},
            cudnn_enabled=False,
        )
    ],
    "another function with weights": [
        operation("mul.Tensor", "Scale", "p", self=X, other=Weight("p.weight"))
    ],
    "a norm that is no layer here": [
        operation(
            *("rms_norm.default", "RMSNorm", "p"),
            **{"x": X, "normalized_shape": (4,), "weight": Weight("p.weight")},
        )
    ],
    "padding before a bias of another layer": [
        padded()[0],
        replace(padded()[1], arguments={**padded()[1].arguments, "bias": Weight("o.bias")}),
    ],
    "zeros around the picture": padded("constant"),
    "uneven padding": padded(pad=(1, 0, 2, 2)),
    "a product that is scaled": linear(alpha=2),
    "a product with another weight": linear(self=Weight("o.bias")),
    "another permutation": permuted((0, 1, 2, 3)),
    "two that do not follow": [permuted()[0], permuted()[2], padded()[1]],
    "a class of the user's own with a known name": [
        replace(
            operation("relu.default", "ReLU", self=X),
            frames=(Frame("m", "net.torch.nn.modules.ReLU", "1"),),
        )
    ],
    "a layer that calls another function": [operation("sigmoid.default", "ReLU", self=X)],
    "a function that is no layer": [operation("relu.default", "Cosine", self=X)],
    "an ELU that is scaled": [operation("elu.default", "ELU", self=X, alpha=0.3, scale=2)],
    "an ELU of a scaled image": [operation("elu.default", "ELU", self=X, input_scale=2)],
    "a ReLU6 that ends at seven": [
        operation("hardtanh.default", "ReLU6", self=X, min_val=0.0, max_val=7.0)
    ],
    "a ReLU6 that begins at one": [
        operation("hardtanh.default", "ReLU6", self=X, min_val=1.0, max_val=6.0)
    ],
    "padding before a convolution that upsamples": [
        padded()[0],
        operation(
            *("conv_transpose2d.input", "ConvTranspose2d", "m"),
            **{"x": Name("q"), "weight": Weight("m.weight"), "bias": None},
        ),
    ],
    "padding before a convolution that pads": [
        padded()[0],
        changed(padded()[1], padding=(0, 1)),
    ],
    "padding that another reads": [padded()[0], changed(padded()[1], input=Name("r"))],
    "padding before another function": [
        padded()[0],
        operation("relu.default", "ReLU", self=Name("q")),
    ],
    "another function before a convolution": [
        operation("relu.default", "ReLU", result="q", self=X),
        padded()[1],
    ],
    "a product that is added to a scaled bias": linear(beta=2),
    "a product with another matrix": linear(mat2=Name("u")),
    "a product of a weight": linear(mat1=Weight("l.weight")),
    "a product with a matrix of another layer": [
        changed(linear()[0], self=Weight("m.weight")),
        linear()[1],
    ],
    "a product with a matrix that is not turned": [
        operation("permute.default", "Linear", "l", "t", self=Weight("l.weight"), dims=(0, 1)),
        linear()[1],
    ],
    "a norm that is not permuted back": [
        *permuted()[:2],
        changed(permuted()[2], dims=(0, 2, 3, 1)),
    ],
    "a norm between permutations of another weight": permuted(weight="m.slope"),
    "a norm that reads what was before a permutation": [
        permuted()[0],
        changed(permuted()[1], input=X),
        permuted()[2],
    ],
    "a norm with a mean and no variance": [
        norm(weight=None, bias=None, running_mean=Weight("m.running_mean"))
    ],
    "a norm in a class that is none": [
        replace(
            norm(weight=None, bias=None, **STATISTICS),
            frames=(Frame("m", "torch.nn.modules.any.Scale", "1"),),
        )
    ],
    "a norm of groups without a bias": [
        operation(
            *("group_norm.default", "GroupNorm", "n"),
            **{"x": X, "num_groups": 2, "weight": Weight("n.weight"), "bias": None},
        )
    ],
    "a norm of layers without a weight": [
        operation(
            *("layer_norm.default", "LayerNorm", "m"),
            **{"x": X, "normalized_shape": (4,), "weight": None, "bias": Weight("m.bias")},
        )
    ],
    "a slope for each place": [
        operation("prelu.default", "PReLU", "l", self=X, weight=Weight("l.weight"))
    ],
    "a linear layer with a row of weights": [
        operation("linear.default", "Linear", "n", x=X, weight=Weight("n.weight"), bias=None)
    ],
}


@pytest.mark.parametrize("name", NEARLY)
def test_what_does_not_fit_exactly_stays_a_function(name: str) -> None:
    assert layer(NEARLY[name], SHAPES) is None


ARE: dict[str, tuple[list[Operation], type[nn.Module]]] = {
    "a norm between permutations": (permuted(), LayerNorm2d),
    "a norm of statistics alone": ([norm(weight=None, bias=None, **STATISTICS)], nn.BatchNorm2d),
    "a turned matrix and a product": (linear(), nn.Linear),
    "a padded convolution": (padded(), nn.Conv2d),
    "an activation": ([operation("relu.default", "ReLU", self=X)], nn.ReLU),
    "an activation in place": ([operation("relu_.default", "ReLU", self=X)], nn.ReLU),
    "bounds": (
        [operation("hardtanh.default", "ReLU6", self=X, min_val=0.0, max_val=6.0)],
        nn.ReLU6,
    ),
}


@pytest.mark.parametrize("name", ARE)
def test_what_the_others_nearly_are_is_a_layer(name: str) -> None:
    operations, kind = ARE[name]
    assert type(layer(operations, SHAPES)) is kind
