"""Weights that fit a network go into it as they are; what does not fit is named, in order."""

from typing import Any

import pytest
import torch
from torch import nn

from reportgen.errors import ModelError
from reportgen.load.fitting import class_count, fit, listed, pour, unlike
from reportgen.load.salvage import SavedModule

ON_MODULE = "The prefix `module.` was removed."


def weights_of(net: nn.Module, prefix: str = "") -> dict[str, torch.Tensor]:
    return {f"{prefix}{name}": value for name, value in net.state_dict().items()}


def two_layers(classes: int = 5, width: int = 3) -> nn.Module:
    return nn.Sequential(nn.Linear(2, width), nn.BatchNorm1d(width), nn.Linear(width, classes))


def test_weights_that_fit_are_given_as_they_were_read() -> None:
    net = two_layers()
    found = fit(net, weights_of(net))
    assert isinstance(found, tuple)
    assert (list(found[0]), found[1]) == (list(net.state_dict()), ())
    prefixed = weights_of(net, "module.")
    found = fit(net, prefixed)
    assert isinstance(found, tuple)
    assert found[1] == (ON_MODULE,)
    assert all(found[0][name] is prefixed[f"module.{name}"] for name in net.state_dict())


def test_of_readings_that_do_not_fit_the_first_of_the_nearest_is_told() -> None:
    net = nn.Linear(2, 4)
    weights = {"module.weight": torch.ones(3, 2), "module.bias": torch.ones(3)}
    assert fit(net, weights) == [
        "weight is 3x2 where 4x2 is expected",
        "bias is 3 where 4 is expected",
    ]
    # With the prefix and without, three things differ.
    assert fit(net, {"a.x": torch.ones(3)}) == [
        "weight is missing",
        "bias is missing",
        "a.x is not expected",
    ]


@pytest.mark.parametrize("prefix", ["", "module."])
def test_the_class_count_is_read_where_it_alone_differs(prefix: str) -> None:
    assert class_count(two_layers(), weights_of(two_layers(7), prefix)) == 7
    assert class_count(two_layers(), weights_of(two_layers(1), prefix)) == 1


@pytest.mark.parametrize(
    "weights",
    [
        weights_of(two_layers()),
        weights_of(two_layers(7, 4)),
        weights_of(nn.Sequential(nn.Linear(2, 7))),
        weights_of(two_layers()) | {"2.bias": torch.ones(7, 1)},
        weights_of(two_layers()) | {"2.bias": torch.tensor(7.0)},
        weights_of(two_layers()) | {"2.bias": torch.ones(7, 1), "2.weight": torch.ones(7, 3)},
    ],
    ids=["the same", "two sizes", "other names", "other axes", "no axes", "a size and axes"],
)
def test_no_class_count_is_read_where_more_differs(weights: dict[str, torch.Tensor]) -> None:
    assert class_count(two_layers(), weights) is None


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_what_is_poured_in_is_float32_and_ready_to_run(device: str) -> None:
    source = two_layers()
    source[1].running_mean.uniform_(0.5, 1.5)
    source[1].num_batches_tracked.fill_(9)
    weights = weights_of(source.half())
    weights["0.weight"] = weights["0.weight"].t().contiguous().t()
    with torch.device(device):
        net = two_layers().train()
    pour(net, weights, "m.pth")
    found = net.state_dict()
    assert list(found) == list(weights)
    for name, value in weights.items():
        assert torch.equal(found[name], value.float() if value.is_floating_point() else value)
        assert found[name].dtype == (torch.int64 if name.endswith("tracked") else torch.float32)
        assert found[name].device.type == "cpu" and found[name].is_contiguous()
    assert not any(part.training for part in net.modules())


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_counters_of_batches_may_be_absent(device: str) -> None:
    weights = weights_of(two_layers())
    del weights["1.num_batches_tracked"]
    with torch.device(device):
        net = two_layers()
    pour(net, weights, "m.pth")
    counter = net.state_dict()["1.num_batches_tracked"]
    assert (counter.tolist(), counter.dtype) == (0, torch.int64)


def test_whole_numbers_are_no_weights() -> None:
    weights = weights_of(two_layers()) | {"0.weight": torch.ones(3, 2, dtype=torch.int8)}
    with pytest.raises(ModelError) as caught:
        pour(two_layers(), weights, "m.pth")
    assert str(caught.value) == (
        "m.pth holds 0.weight as int8, where the network computes with real numbers; quantised "
        "weights are not supported."
    )


def test_a_layer_that_refuses_its_weights_is_told_in_short() -> None:
    class Stubborn(nn.Linear):
        def _load_from_state_dict(self, *arguments: Any, **named: Any) -> None:
            raise RuntimeError("no,\n  no" + "!" * 400)

    with pytest.raises(ModelError) as caught:
        pour(Stubborn(2, 3), weights_of(nn.Linear(2, 3)), "m.pth")
    said = "m.pth does not load into Stubborn: "
    assert str(caught.value).startswith(f"{said}no, no!!!")
    assert len(str(caught.value)) == len(said) + 300


def test_versions_of_layers_are_kept() -> None:
    """A layer reads its own version from the table."""

    class Dated(nn.Linear):
        _version = 7

        def _load_from_state_dict(self, state: Any, prefix: str, local: Any, *rest: Any) -> None:
            self.seen = local.get("version")
            super()._load_from_state_dict(state, prefix, local, *rest)

    net = nn.Sequential(Dated(2, 3))
    pour(net, weights_of(nn.Sequential(nn.Linear(2, 3))), "m.pth")
    assert net[0].seen == 7


@pytest.mark.parametrize(
    ("count", "end"), [(1, "0"), (5, "4"), (6, "4; and 1 more"), (9, "4; and 4 more")]
)
def test_the_first_five_are_listed(count: int, end: str) -> None:
    found = listed([str(number) for number in range(count)])
    assert found.endswith(end)
    assert found == "; ".join(map(str, range(min(count, 5)))) + end[1:]


def saved(kind: str, is_leaf: bool = True, **settings: object) -> SavedModule:
    return SavedModule(f"torch.nn.modules.any.{kind}", settings, is_leaf, has_hooks=False)


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.Sequential(nn.Linear(2, 3)))


SAME = {
    "": saved("Sequential", is_leaf=False),
    "0": saved("Conv2d", stride=(2, 2), padding=0, groups=1, padding_mode="zeros", bias=None),
    "1": saved("ReLU", inplace=True),
    "2": saved("Sequential", is_leaf=False),
    "2.0": saved("Linear", in_features=2, of_no_such_name=3),
}


def test_a_network_is_like_what_its_file_says() -> None:
    assert unlike(network(), SAME, is_whole=True) == []
    assert unlike(network(), {}, is_whole=False) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"1": saved("GELU")}, ["1 is GELU in the file, ReLU in torchvision's"]),
        # Of a module of another kind the settings are not looked at.
        ({"0": saved("Conv1d", stride=9)}, ["0 is Conv1d in the file, Conv2d in torchvision's"]),
        (
            {"0": saved("Conv2d", stride=(1, 2), groups=2)},
            [
                "0.stride is (1, 2) in the file, (2, 2) in torchvision's",
                "0.groups is 2 in the file, 1 in torchvision's",
            ],
        ),
        ({"2": saved("Block", is_leaf=False)}, []),
        # A module without parts there, and with parts here, may be a stub of the same.
        ({"2": saved("Block")}, []),
        ({"3": saved("Softmax")}, ["3 (Softmax) is in the file only"]),
        ({"3": saved("Block", is_leaf=False)}, []),
        (
            {"3": saved("Block", is_leaf=False), "1": saved("ELU")},
            ["1 is ELU in the file, ReLU in torchvision's"],
        ),
        (
            {"0": saved("Conv2d", padding_mode="reflect")},
            ["0.padding_mode is reflect in the file, zeros in torchvision's"],
        ),
        ({"0": saved("Conv2d", bias=False)}, []),
        ({"0": saved("Conv2d", stride=2, dilation=(1, 1))}, []),
        ({"0": saved("Conv2d", stride=3)}, ["0.stride is 3 in the file, (2, 2) in torchvision's"]),
    ],
    ids=str,
)
def test_what_contradicts_a_network_is_named(
    change: dict[str, SavedModule], expected: list[str]
) -> None:
    assert unlike(network(), {**SAME, **change}, is_whole=True) == expected


def test_each_module_is_looked_at_after_one_that_differs() -> None:
    block, other = saved("Block", is_leaf=False), saved("Conv1d")
    assert unlike(network(), {"9": block, "0": other, "1": saved("ELU")}, is_whole=False) == [
        "0 is Conv1d in the file, Conv2d in torchvision's",
        "1 is ELU in the file, ReLU in torchvision's",
    ]


def test_modules_that_a_whole_file_lacks_are_named() -> None:
    less = {path: module for path, module in SAME.items() if path in ("", "0")}
    assert unlike(network(), less, is_whole=False) == []
    assert unlike(network(), less, is_whole=True) == [
        "1 is missing in the file",
        "2.0 is missing in the file",
    ]


@pytest.mark.parametrize(
    "name",
    [
        *("attention_dropout", "aux_logits", "drop_rate", "dropout", "init_weights"),
        *("inplace", "memory_efficient", "momentum", "p", "training"),
    ],
)
def test_settings_that_change_no_answer_are_left_aside(name: str) -> None:
    net = nn.Sequential(nn.ReLU())
    setattr(net[0], name, 0.25)
    assert unlike(net, {"0": saved("ReLU", **{name: 0.5})}, is_whole=False) == []
    setattr(net[0], f"{name}_", 0.25)
    assert unlike(net, {"0": saved("ReLU", **{f"{name}_": 0.5})}, is_whole=False) == [
        f"0.{name}_ is 0.5 in the file, 0.25 in torchvision's"
    ]


@pytest.mark.parametrize(
    "ours", [[1, 2], {"a": 1}, torch.float32, object()], ids=["list", "dict", "dtype", "object"]
)
def test_what_is_no_plain_setting_contradicts_nothing(ours: object) -> None:
    net = nn.Sequential(nn.ReLU())
    net[0].odd = ours
    assert unlike(net, {"0": saved("ReLU", odd=3)}, is_whole=False) == []


@pytest.mark.parametrize("ours", [True, 2, 0.5, "a", (1, 2), None], ids=str)
def test_a_plain_setting_that_differs_contradicts(ours: object) -> None:
    net = nn.Sequential(nn.ReLU())
    net[0].odd = ours
    assert unlike(net, {"0": saved("ReLU", odd="b")}, is_whole=False) == [
        f"0.odd is b in the file, {ours} in torchvision's"
    ]
    assert unlike(net, {"0": saved("ReLU", odd=ours)}, is_whole=False) == []
