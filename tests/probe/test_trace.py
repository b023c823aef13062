"""Shapes, parameters, cost and origin of calls, against torchvision and nets known by hand."""

from collections import Counter, OrderedDict

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from reportgen.errors import ModelError
from reportgen.probe.borrow import borrowed
from reportgen.probe.evidence import CallKey
from reportgen.probe.trace import Trace, trace

QUICK = ["squeezenet1_1", "mobilenet_v3_small", "shufflenet_v2_x0_5", "mnasnet0_5", "resnet18"]
SLOW = [
    *("alexnet", "vgg11_bn", "googlenet", "inception_v3", "densenet121", "vit_b_16", "swin_t"),
    *("convnext_tiny", "mobilenet_v2", "efficientnet_b0", "regnet_y_400mf", "resnext50_32x4d"),
    "maxvit_t",
]
ARCHITECTURES = [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]


def followed(net: nn.Module, *shape: int) -> Trace:
    image = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    dtype = next((p.dtype for p in net.parameters()), torch.float32)
    with borrowed(net):
        return trace(net, image.to(dtype))


def plain(names: tuple[CallKey, ...]) -> list[str]:
    return [str(key) for key in names]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_torchvision(name: str) -> None:
    """MACs against the published count; parameters and shapes against hooks of our own."""
    weights = torchvision.models.get_model_weights(name).DEFAULT
    (size,) = weights.transforms().crop_size
    quick = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    net = torchvision.models.get_model(name, **quick).eval()

    shapes: dict[str, list[tuple[int, ...]]] = {}
    used: set[nn.Parameter] = set()
    hooks = []
    for path, module in net.named_modules():
        if next(module.children(), None) is None:

            def hook(module: nn.Module, _: object, output: torch.Tensor, path: str = path) -> None:
                shapes.setdefault(path, []).append(tuple(output.shape[1:]))
                used.update(module.parameters())

            hooks.append(module.register_forward_hook(hook))
    with torch.no_grad():
        net(torch.randn(1, 3, size, size))
    for handle in hooks:
        handle.remove()

    found = followed(net, 3, size, size)
    assert found.macs / 1e9 == pytest.approx(weights.meta["_ops"], abs=0.0006)
    assert found.classes == 1000
    assert found.is_deterministic
    modules = [call for call in found.calls if ".F." not in f".{call.key}"]
    ours: dict[str, list[tuple[int, ...]]] = {}
    for call in modules:
        if call.type != "MultiheadAttention":
            ours.setdefault(call.key.path, []).append(call.output_shape)
    assert ours == shapes
    # Attention uses its projections without calling them; windows use theirs as functions.
    for module in net.modules():
        if isinstance(module, nn.MultiheadAttention) or hasattr(module, "qkv"):
            used.update(module.parameters())
    tables = {p for n, p in net.named_parameters() if n.endswith("relative_position_bias_table")}
    if name == "maxvit_t":
        # Here `to_qkv` and `merge` are modules, and the table of positions is part of no call.
        assert all("attn" in n for n, p in net.named_parameters() if p in tables)
    assert sum(call.parameters for call in found.calls) == sum(p.numel() for p in used - tables)
    for call in found.calls:
        if call.kind in ("conv", "norm") and call.key.path in ours:
            assert call.channel_axis is not None, call.key
            channels = call.output_shape[call.channel_axis]
            module = net.get_submodule(call.key.path)
            sizes = {parameter.shape[0] for parameter in module.parameters()}
            assert sizes == {channels}, call.key


def test_every_relu_of_inception_is_seen() -> None:
    """All 94 are functions; hooks of modules see none."""
    net = torchvision.models.inception_v3(init_weights=False).eval()
    found = followed(net, 3, 96, 96)
    counts = Counter(call.type for call in found.calls)
    assert counts["F.relu"] == 94
    assert counts["ReLU"] == 0
    assert counts["Conv2d"] == 94


def test_layouts_of_convnext_swin_and_vit() -> None:
    swin = torchvision.models.SwinTransformer([4, 4], 16, [2, 2], [2, 4], [4, 4], num_classes=3)
    by_name = {str(call.key): call for call in followed(swin.eval(), 3, 64, 96).calls}
    norm = by_name["features.1.1.norm2"]
    assert (norm.output_shape, norm.channel_axis, norm.spatial_axes) == ((16, 24, 16), 2, (0, 1))
    merged = by_name["features.2.reduction"]
    assert (merged.output_shape, merged.channel_axis, merged.spatial_axes) == (
        (8, 12, 32),
        2,
        (0, 1),
    )
    # 16 x 24 positions lie in 4 x 6 windows, with 48 values for query, key and value.
    windows = by_name["features.1.1.attn.F.linear"]
    assert (windows.output_shape, windows.channel_axis, windows.spatial_axes) == (
        (24, 16, 48),
        2,
        None,
    )
    assert windows.parameters == 16 * 48 + 48

    vit = torchvision.models.VisionTransformer(32, 8, 1, 2, 24, 48, num_classes=3)
    by_name = {str(call.key): call for call in followed(vit.eval(), 3, 32, 32).calls}
    tokens = by_name["encoder.layers.encoder_layer_0.ln_1"]
    assert (tokens.output_shape, tokens.channel_axis, tokens.spatial_axes) == ((17, 24), 1, None)
    assert not tokens.receptive_field.covers_image
    attention = by_name["encoder.layers.encoder_layer_0.self_attention"]
    assert attention.type == "MultiheadAttention"
    assert attention.parameters == 4 * 24 * 24 + 4 * 24
    assert attention.macs == 17 * 4 * 24 * 24 + 2 * 17 * 17 * 24
    assert attention.receptive_field.covers_image
    assert by_name["heads.head"].output_shape == (3,)

    settings = [torchvision.models.convnext.CNBlockConfig(12, None, 2)]
    convnext = torchvision.models.ConvNeXt(settings, num_classes=3)
    by_name = {str(call.key): call for call in followed(convnext.eval(), 3, 32, 48).calls}
    inner = by_name["features.1.0.block.4"]
    assert (inner.type, inner.kind, inner.rectifies) == ("GELU", "activation", False)
    assert (inner.output_shape, inner.channel_axis, inner.spatial_axes) == ((8, 12, 48), 2, (0, 1))


class Sharing(nn.Module):
    """One convolution used twice, one weight used by a function as well, and a sum of three."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1, bias=False)
        self.idle = nn.Conv2d(3, 3, 1)
        self.drop = nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = self.conv(x)
        b = self.conv(torch.sigmoid(a))
        c = F.conv2d(b, self.conv.weight, padding=1)
        y = torch.cat([a * 2 + b, c.flip(3)], 1)
        return self.drop(y).mean((2, 3))


def test_shared_weights_count_once_and_origins_pass_through_unlisted_functions() -> None:
    calls = {str(call.key): call for call in followed(Sharing(), 3, 8, 9).calls}
    assert list(calls) == ["conv", "F.sigmoid", "conv#2", "F.conv2d", "drop"]
    assert [call.parameters for call in calls.values()] == [81, 0, 0, 0, 0]
    assert [call.macs for call in calls.values()] == [81 * 72, 0, 81 * 72, 81 * 72, 0]
    assert plain(calls["conv"].inputs) == []
    assert plain(calls["conv#2"].inputs) == ["F.sigmoid"]
    assert plain(calls["F.conv2d"].inputs) == ["conv#2"]
    assert plain(calls["drop"].inputs) == ["conv", "conv#2", "F.conv2d"]
    assert calls["drop"].kind == "other"


def test_writing_through_a_view_changes_where_the_whole_comes_from() -> None:
    class Views(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv2d(3, 4, 1)
            self.second = nn.Conv2d(3, 2, 1)
            self.third = nn.Conv2d(4, 2, 1)
            self.fourth = nn.Conv2d(4, 2, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.first(x)
            y[:, :2] = self.second(x)
            z = self.third(y)
            F.relu_(y.view(-1))
            return z.mean((2, 3)) + self.fourth(y).mean((2, 3))

    calls = {str(call.key): call for call in followed(Views(), 3, 5, 6).calls}
    assert sorted(plain(calls["third"].inputs)) == ["first", "second"]
    assert plain(calls["fourth"].inputs) == ["F.relu"]
    # What a tensor sees of which a part was replaced is not followed.
    assert calls["second"].receptive_field is not None
    assert calls["third"].receptive_field is None


def test_what_does_not_depend_on_the_image_is_counted_once() -> None:
    class Biased(nn.Module):
        """A small network makes a bias from fixed positions, as in Swin V2."""

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("places", torch.rand(1, 30, 2))
            self.bias = nn.Linear(2, 4)
            self.conv = nn.Conv2d(3, 4, 1)
            self.last = nn.Conv2d(4, 2, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            bias = self.bias(self.places).mT.reshape(1, 4, 5, 6)
            return self.last(self.conv(x) + bias.relu()).mean((2, 3))

    found = followed(Biased(), 3, 5, 6)
    calls = {str(call.key): call for call in found.calls}
    assert calls["bias"].output_shape == (1, 30, 4)
    assert calls["bias"].macs == 30 * 2 * 4
    assert calls["bias"].receptive_field is None
    assert CallKey("bias") not in found.arrangements
    assert sorted(plain(calls["last"].inputs)) == ["F.relu", "conv"]
    assert calls["last"].receptive_field.size == (3, 3)
    assert found.macs == 30 * 2 * 4 + 30 * 3 * 4 + 12 * 9 * 4 * 2


def test_a_view_of_a_parameter_may_be_handed_on_in_a_tuple() -> None:
    """As PiT hands on its class token."""

    class Pair(nn.Module):
        def forward(self, pair: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
            return pair[0].mean((2, 3)) + pair[1][:, 0]

    class Tupled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token = nn.Parameter(torch.ones(1, 1, 4))
            self.conv = nn.Conv2d(3, 4, 1)
            self.pair = Pair()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = self.pair((self.conv(x), self.token.expand(len(x), -1, -1)))
            return found

    net = Tupled()
    with torch.no_grad(), borrowed(net):
        assert trace(net, torch.rand(3, 5, 6)).macs == 30 * 3 * 4
    assert all(parameter.requires_grad for parameter in net.parameters())


def test_positions_that_are_made_anew_for_each_image_count_once_an_image() -> None:
    class Placed(nn.Module):
        """As many maps of positions as there are images, as in EdgeNeXt."""

        def __init__(self) -> None:
            super().__init__()
            self.places = nn.Conv2d(2, 4, 1)
            self.conv = nn.Conv2d(3, 4, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            places = torch.linspace(0, 1, 60).view(1, 2, 5, 6).repeat(len(x), 1, 1, 1)
            return (self.conv(x) + self.places(places)).mean((2, 3))

    found = followed(Placed(), 3, 5, 6)
    calls = {str(call.key): call for call in found.calls}
    assert calls["places"].output_shape == (4, 5, 6)
    assert calls["places"].macs == 30 * 2 * 4
    assert found.macs == 30 * 2 * 4 + 30 * 3 * 4


def test_a_hook_that_replaces_the_image_is_followed() -> None:
    net = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten())
    net.register_forward_pre_hook(lambda module, args: (args[0] * 2,))
    conv = followed(net, 3, 5, 6).calls[0]
    assert conv.receptive_field.size == (3, 3)
    assert conv.spatial_axes == (1, 2)


RECTIFIERS = {
    "relu": (nn.ReLU(), True),
    "relu6": (nn.ReLU6(), True),
    "hardtanh from 0": (nn.Hardtanh(0, 3), True),
    "hardtanh": (nn.Hardtanh(), False),
    "threshold 0": (nn.Threshold(0, 0), True),
    "threshold 0.1": (nn.Threshold(0.1, 0), False),
    "leaky": (nn.LeakyReLU(), False),
    "gelu": (nn.GELU(), False),
    "silu": (nn.SiLU(), False),
    "hardswish": (nn.Hardswish(), False),
    "sigmoid": (nn.Sigmoid(), False),
    "prelu": (nn.PReLU(), False),
    "softplus": (nn.Softplus(), False),
}


@pytest.mark.parametrize(("module", "expected"), RECTIFIERS.values(), ids=RECTIFIERS.keys())
def test_zero_means_off_for_relu_and_its_kin_alone(module: nn.Module, expected: bool) -> None:
    net = nn.Sequential(nn.Conv2d(3, 2, 1), module, nn.MaxPool2d(2), nn.Flatten())
    calls = followed(net, 3, 4, 6).calls
    assert [call.rectifies for call in calls] == [False, expected, False, False]
    assert calls[1].kind == "activation"


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (F.relu6, "F.relu6"),
        (lambda x: F.hardtanh(x, 0.0, 6.0), "F.hardtanh"),
        (lambda x: F.threshold(x, 0.0, 0.0), "F.threshold"),
        (lambda x: x.clamp(min=0), "F.clamp"),
        (lambda x: torch.clamp_min_(x, 0), "F.clamp_min"),
    ],
)
def test_rectifying_functions(function: object, name: str) -> None:
    class Net(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return function(x * 2).mean((2, 3))  # type: ignore[operator]

    (call,) = followed(Net(), 3, 4, 5).calls
    assert (call.type, call.kind, call.rectifies) == (name, "activation", True)
    assert (call.channel_axis, call.spatial_axes) == (0, (1, 2))


def test_clamping_elsewhere_is_no_layer() -> None:
    class Net(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.clamp(-1, 1).clamp(min=0.5).mean((2, 3))

    assert followed(Net(), 3, 4, 5).calls == ()


class Swish(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(x)


class Wrapped(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(x)


class Scale(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(2, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.gamma


class Standardised(nn.Conv2d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return F.conv2d(x, weight, self.bias)


def test_leaves_that_a_user_wrote() -> None:
    net = nn.Sequential(Standardised(3, 2, 2), Wrapped(), Swish(), Scale(), nn.Flatten())
    calls = followed(net, 3, 5, 6).calls
    assert [(str(call.key), call.type, call.kind) for call in calls] == [
        ("0", "Standardised", "conv"),
        ("1.F.relu", "F.relu", "activation"),
        ("2.F.sigmoid", "F.sigmoid", "activation"),
        ("2", "Swish", "activation"),
        ("3", "Scale", "other"),
        ("4", "Flatten", "other"),
    ]
    assert [call.parameters for call in calls] == [26, 0, 0, 0, 2, 0]
    assert plain(calls[3].inputs) == ["1.F.relu"]
    assert plain(calls[4].inputs) == ["2"]
    assert calls[0].receptive_field.size == (2, 2)


def test_parametrized_weights_leave_a_layer_whole() -> None:
    conv = nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 2, 3))
    calls = followed(nn.Sequential(conv, nn.Flatten()), 3, 5, 6).calls
    assert [(str(call.key), call.kind) for call in calls] == [("0", "conv"), ("1", "other")]
    assert calls[0].parameters == sum(p.numel() for p in conv.parameters())


def test_containers_called_again_are_numbered_on() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = Wrapped()
            self.box = nn.Sequential(nn.ReLU(), nn.ReLU())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.box(self.block(self.box(self.block(x)))).mean((2, 3))

    names = [str(call.key) for call in followed(Net(), 3, 4, 5).calls]
    one = ["block.F.relu", "box.0", "box.1"]
    assert names == [*one, *(f"{name}#2" for name in one)]


def test_similarity_is_the_correlation_with_the_input() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.same = nn.BatchNorm2d(3)
            self.turned = nn.Conv2d(3, 3, 1, bias=False)
            self.relu = nn.ReLU(inplace=True)
            self.smaller = nn.MaxPool2d(2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.smaller(self.relu(self.turned(self.same(x)))).mean((2, 3))

    net = Net().double()
    with torch.no_grad():
        net.turned.weight.copy_(-torch.eye(3)[:, :, None, None])
    found = followed(net, 3, 6, 7).input_similarity
    assert found[CallKey("same")] == pytest.approx(1)
    assert found[CallKey("turned")] == pytest.approx(-1)
    image = torch.randn(3, 6, 7, generator=torch.Generator().manual_seed(0)).double()
    both = torch.stack([-image.flatten(), (-image).clamp(min=0).flatten()])
    assert found[CallKey("relu")] == pytest.approx(float(torch.corrcoef(both)[0, 1]))
    assert CallKey("smaller") not in found


def test_similarity_where_positions_come_first_and_of_a_single_number() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.relu = nn.ReLU()
            self.number = nn.ReLU()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            tokens = self.relu(x.flatten(2).permute(2, 0, 1))
            return tokens.mean(0) * self.number(x.sum())

    found = followed(Net().double(), 3, 6, 7).input_similarity
    image = torch.randn(3, 6, 7, generator=torch.Generator().manual_seed(0)).double()
    both = torch.stack([image.flatten(), image.clamp(min=0).flatten()])
    assert found[CallKey("relu")] == pytest.approx(float(torch.corrcoef(both)[0, 1]))
    assert CallKey("number") not in found


def test_randomness_in_the_forward_pass_is_told() -> None:
    class Noisy(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.dropout(x, 0.5, training=True).mean((2, 3))

    assert not followed(Noisy(), 3, 8, 9).is_deterministic


@pytest.mark.parametrize(
    ("wrap", "classes"),
    [
        (lambda y: (y, y[:, :2]), 3),
        (lambda y: [y[:, :, None, None]], 3),
        (lambda y: {"features": y[:, :, None].expand(-1, -1, 4), "logits": y}, 3),
        (lambda y: torchvision.models.GoogLeNetOutputs(y, y[:, :1], None), 3),
        (lambda y: y[:, :1], 1),
        (lambda y: y[:, 0], 1),
        (lambda y: y[:, :, None, None], 3),
    ],
)
def test_scores_are_found_in_what_a_network_returns(wrap: object, classes: int) -> None:
    class Net(nn.Module):
        def forward(self, x: torch.Tensor) -> object:
            return wrap(x.mean((2, 3)))  # type: ignore[operator]

    assert followed(Net(), 3, 4, 5).classes == classes


@pytest.mark.parametrize(
    ("wrap", "said"),
    [
        (lambda y: {"p3": y}, r"gives a dict of p3: \(2, 3, 4, 5\) for a batch of 2"),
        (lambda y: OrderedDict(p3=y), r"gives an OrderedDict of p3: \(2, 3, 4, 5\)"),
        (lambda y: y[None], r"a tensor of shape \(1, 2, 3, 4, 5\)"),
        (lambda y: [{"boxes": y[0, 0]}], r"a list of dict"),
        (lambda y: None, r"a NoneType"),
    ],
)
def test_what_is_no_classifier_is_refused(wrap: object, said: str) -> None:
    class Net(nn.Module):
        def forward(self, x: torch.Tensor) -> object:
            return wrap(x)  # type: ignore[operator]

    with pytest.raises(ModelError, match=said):
        followed(Net(), 3, 4, 5)


def test_two_inputs_and_wrong_sizes_are_told_in_the_networks_words() -> None:
    class Pair(nn.Module):
        def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            return x

    with pytest.raises(ModelError, match=r"missing 1 required positional argument: 'mask'.*--arch"):
        followed(Pair(), 3, 4, 5)
    net = nn.Sequential(nn.Flatten(), nn.Linear(7, 2))
    with pytest.raises(ModelError, match=r"3 x 4 x 5 image.*mat1 and mat2.*--input-size"):
        followed(net, 3, 4, 5)
