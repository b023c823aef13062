"""What a pickled network says besides its weights, and what reading it can run into."""

import errno
import io
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from reportgen.errors import ModelError
from reportgen.load import plain_tensors, salvage
from reportgen.load.checkpoint import Checkpoint, read_checkpoint


def read(content: Any, is_new: bool = True) -> Checkpoint:
    stream = io.BytesIO()
    torch.save(content, stream, _use_new_zipfile_serialization=is_new)
    stream.seek(0)
    return read_checkpoint(Path("m.pth"), stream)


def watched(module: nn.Module, *_: object) -> None:
    raise AssertionError("a hook of a file was run")


HOOKS = ("register_forward_hook", "register_forward_pre_hook")


@pytest.mark.parametrize("register", HOOKS)
def test_hooks_are_said_and_not_run(register: str) -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
    assert read(net).notes == ()
    getattr(net[1], register)(watched)
    found = read(net)
    assert found.notes == ("The file's modules carry hooks, which are code and are not run.",)
    assert found.modules["1"].has_hooks and not found.modules["0"].has_hooks
    assert torch.equal(found.tensors["0.weight"], net[0].weight)


def test_a_file_that_asks_for_what_cannot_be_opened_is_no_damaged_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The reader's process tells it from the number: the file asks for more than a model needs."""

    def closed(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(salvage, "_load", closed)
    with pytest.raises(OSError, match="Too many open files") as caught:
        read({"w": torch.ones(1)})
    assert caught.value.errno == errno.EMFILE


def chain(depth: int) -> nn.Module:
    """A network so many modules deep."""
    net: nn.Module = nn.Linear(2, 3)
    for _ in range(depth):
        net = nn.Sequential(net)
    return net


def test_modules_in_modules_are_read_a_hundred_deep() -> None:
    assert list(read(chain(100)).tensors) == [f"{'0.' * 100}{name}" for name in ("weight", "bias")]
    with pytest.raises(ModelError, match="holds a module that contains itself"):
        read(chain(101))


def test_a_module_in_itself_is_told_at_its_second_turn() -> None:
    net = nn.Sequential(nn.Sequential(nn.Linear(1, 1)))
    net[0].add_module("again", net)
    with pytest.raises(ModelError, match=r"holds a module that contains itself \(0\.again\)\."):
        read(net)


@pytest.mark.filterwarnings("ignore")
def test_wrappers_around_a_network_come_off_and_are_said() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3))
    wrapped = nn.DataParallel(AveragedModel(net))
    found = read(wrapped)
    assert list(found.tensors) == ["0.weight", "0.bias"]
    assert found.notes == (
        "The wrapper DataParallel was taken off.",
        "The wrapper AveragedModel was taken off.",
    )
    assert found.modules["0"].short_name == "Conv2d" and found.modules["0"].is_leaf
    assert not found.modules[""].is_leaf and found.class_name.endswith("container.Sequential")


@pytest.mark.parametrize("is_new", [True, False])
def test_the_number_formats_of_the_weights_are_told_the_commonest_first(is_new: bool) -> None:
    weights = {"a": torch.ones(2), "b": torch.ones(1).half(), "c": torch.ones(9, dtype=torch.int64)}
    assert read(weights, is_new).dtype == "float32, float16"
    assert read({**weights, "b": torch.ones(3).half()}, is_new).dtype == "float16, float32"
    assert read({"c": weights["c"]}, is_new).dtype == "none"


def test_a_module_in_the_old_format_is_read_without_its_sources() -> None:
    """Each class stands there once with its source, behind others that were already met."""
    parts = [nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 1, (1, 2)), nn.BatchNorm2d(1), nn.ReLU()]
    net = nn.Sequential(*parts, nn.Sequential(nn.Linear(4, 3)))
    found, expected = read(net, is_new=False), net.state_dict()
    assert found.tensors.keys() == expected.keys()
    assert all(torch.equal(found.tensors[name], expected[name]) for name in expected)
    kinds = {path: module.short_name for path, module in found.modules.items()}
    assert kinds == {path: type(module).__name__ for path, module in net.named_modules()}
    assert found.modules["2"].settings["kernel_size"] == (1, 2)
    assert found.notes[0].startswith("The file is in the format of torch before 1.6")


RAW = (
    *("state_dict", "model_state_dict", "model_state", "model", "net", "network", "module"),
    "weights",
    "params",
)
AVERAGED = ("ema", "model_ema", "state_dict_ema", "ema_state_dict", "params_ema")
ONE, TWO = {"a": torch.ones(1)}, {"b": torch.ones(2)}


@pytest.mark.parametrize("key", RAW)
def test_an_entry_of_a_usual_name_goes_before_all_others(key: str) -> None:
    found = read({"zzz": TWO, "ema": TWO, key: ONE})
    assert list(found.tensors) == ["a"] and "raw weights" in found.notes[0]
    assert f"({key})" in found.notes[0] and "--weights-key ema" in found.notes[0]
    assert read({"zzz": TWO, key: ONE}).notes == (
        f"The weights are those of the checkpoint's entry {key}.",
    )
    assert list(read({"zzz": {key: {key: {key: ONE}}}, "epoch": 3}).tensors) == ["a"]
    with pytest.raises(ModelError, match="holds no model weights; it holds zzz, epoch"):
        read({"zzz": {key: {key: {key: {key: ONE}}}}, "epoch": 3})


@pytest.mark.parametrize("key", AVERAGED)
def test_averaged_weights_are_taken_where_there_are_no_others(key: str) -> None:
    found = read({"zzz": TWO, key: ONE})
    assert list(found.tensors) == ["a"]
    assert found.notes == (
        f"The weights are the averaged ones (entry {key}); there are no others.",
    )


def test_two_sets_of_weights_are_no_silent_pick() -> None:
    for first, second in (("model", "net"), ("ema", "model_ema"), ("x", "y")):
        with pytest.raises(ModelError, match=rf"\({first}, {second}\); say which with .* {first}"):
            read({first: ONE, second: TWO})


def test_a_table_is_weights_where_half_of_it_is() -> None:
    assert read({"w": torch.ones(1), "lr": 3}).notes == (
        "Entries that are no tensors were left out: lr.",
    )
    with pytest.raises(ModelError, match="holds no model weights; it holds w, lr, epoch"):
        read({"w": torch.ones(1), "lr": 3, "epoch": 4})
    with pytest.raises(
        ModelError, match=r"holds no model weights; it holds 0, 1, 2, 3, 4, 5, 6, 7\."
    ):
        read({number: torch.ones(1) for number in range(9)})
    with pytest.raises(ModelError, match="holds no model weights; it holds nothing"):
        read({})


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (EOFError(), "is cut short: the download or copy did not finish; get it again."),
        (RuntimeError("unexpected EOF, expected 3"), "is cut short: "),
        (RuntimeError("failed finding central directory"), "is cut short: "),
        (RuntimeError("WeightsUnpickler error: Unsupported operand 149"), "is written with a "
         "pickle protocol that torch's safe reader does not take; save the weights again with "
         "torch.save(model.state_dict(), FILE) or as safetensors."),
        (RuntimeError("\x1b[1mWeights\x1b[0m failed. WeightsUnpickler error: odd\n thing. No. "
                      "Check the documentation of x"),
         "cannot be read as a torch file: odd thing."),
        (RuntimeError("odd Check the documentation"), "cannot be read as a torch file: odd."),
        (RuntimeError("x" * 199 + " . y"), f"cannot be read as a torch file: {'x' * 199}."),
        (RuntimeError("x" * 300), f"cannot be read as a torch file: {'x' * 200}."),
    ],
)  # fmt: skip
def test_why_a_file_cannot_be_read_is_said_in_one_sentence(error: Exception, said: str) -> None:
    found = salvage._fault(error)
    assert found == said or (said == "is cut short: " and found.startswith(said))


@pytest.mark.parametrize(
    ("name", "short"), [("Net", "Net"), ("a.Net", "Net"), ("a.b.c.Net", "Net")]
)
def test_a_class_has_a_short_name(name: str, short: str) -> None:
    assert salvage.SavedModule(name, {}, True, False).short_name == short


def test_settings_are_plain_values_of_public_names() -> None:
    net = nn.Conv2d(1, 2, (3, 2), bias=False)
    net.odd, net._own, net.text, net.share = [1], 3, "a", 0.5
    net.mixed = (1, "a")
    settings = read(net).modules[""].settings
    assert {"in_channels": 1, "out_channels": 2, "kernel_size": (3, 2), "text": "a"}.items() <= (
        settings.items()
    )
    assert settings["share"] == 0.5 and settings["training"] is True
    assert not {"odd", "_own", "mixed", "bias"} & (settings.keys() - {"bias"})


def test_buffers_that_do_not_persist_are_left_out() -> None:
    net = nn.Sequential(nn.Linear(2, 3))
    net.register_buffer("kept", torch.ones(2))
    net[0].register_buffer("scratch", torch.ones(2), persistent=False)
    net[0].register_parameter("none", None)
    for is_new in (True, False):
        found = read(net, is_new).tensors
        assert list(found) == list(net.state_dict()) == ["kept", "0.weight", "0.bias"]


@pytest.mark.parametrize("is_new", [True, False])
@pytest.mark.parametrize("protocol", [2, 3])
def test_older_protocols_are_read_and_newer_ones_told(is_new: bool, protocol: int) -> None:
    def saved(protocol: int) -> io.BytesIO:
        stream = io.BytesIO()
        torch.save(
            {"w": torch.ones(2)},
            stream,
            pickle_protocol=protocol,
            _use_new_zipfile_serialization=is_new,
        )
        return stream

    stream = saved(protocol)
    stream.seek(3)
    assert list(read_checkpoint(Path("m.pth"), stream).tensors) == ["w"]
    with pytest.raises(ModelError) as caught:
        read_checkpoint(Path("m.pth"), saved(protocol + 2))
    assert str(caught.value) == (
        f"m.pth is written with pickle protocol {protocol + 2}, which torch's safe reader does not "
        "take; save the weights again with torch.save(model.state_dict(), FILE) or as safetensors."
    )


def test_tensors_that_repeat_are_taken_up_to_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_tensors, "_MOST_REPEATED", 40)
    found = plain_tensors.plain_tensors({"w": torch.ones(1).expand(40)}, 100, "m.pth")
    assert found["w"].shape == (40,)
    with pytest.raises(ModelError) as caught:
        plain_tensors.plain_tensors({"w": torch.ones(1).expand(41)}, 100, "m.pth")
    assert str(caught.value) == "m.pth holds w as 41 numbers, and only 4 bytes of them."
    # As many numbers as bytes are no more than there are.
    levels = torch.ones(50, dtype=torch.uint8)
    assert plain_tensors.plain_tensors({"w": levels}, 50, "m.pth")["w"].shape == (50,)


def test_numbers_that_two_weights_share_are_counted_once() -> None:
    one = torch.ones(10)
    shared = {"a": one, "b": one.reshape(2, 5), "c": one[3:]}
    assert list(plain_tensors.plain_tensors(shared, 40, "m.pth")) == ["a", "b", "c"]
    with pytest.raises(ModelError) as caught:
        plain_tensors.plain_tensors({**shared, "d": torch.ones(1)}, 43, "m.pth")
    assert str(caught.value) == "m.pth claims 44 bytes of weights, and has 43 bytes in all."


def test_of_one_number_sixteen_million_are_made_and_no_more() -> None:
    found = plain_tensors.plain_tensors({"w": torch.ones(1).expand(2**24)}, 100, "m.pth")
    assert found["w"].numel() == 2**24
    with pytest.raises(ModelError, match=r"as 16,777,217 numbers, and only 4 bytes of them"):
        plain_tensors.plain_tensors({"w": torch.ones(1).expand(2**24 + 1)}, 100, "m.pth")


def test_what_torch_warns_of_while_it_reads_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def warning(*_: object, **__: object) -> dict[str, torch.Tensor]:
        warnings.warn("of old times", UserWarning, stacklevel=2)
        return {"w": torch.ones(1)}

    monkeypatch.setattr(torch, "load", warning)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert list(salvage.load_inert(io.BytesIO(), frozenset(), "m.pth")) == ["w"]
    assert caught == []


@pytest.mark.parametrize("key", ["", "a.model"])
@pytest.mark.parametrize("is_new", [True, False])
def test_a_network_in_a_table_is_read_as_one(key: str, is_new: bool) -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
    content = {"a": {"model": net, "epoch": 3}} if key else {"model": net, "epoch": 3}
    stream = io.BytesIO()
    torch.save(content, stream, _use_new_zipfile_serialization=is_new)
    stream.seek(0)
    found = read_checkpoint(Path("m.pth"), stream, key)
    assert list(found.tensors) == ["0.weight", "0.bias"] and found.format == "whole module"
    assert torch.equal(found.tensors["0.weight"], net[0].weight)
    entry = "entry a.model" if key else "checkpoint's entry model"
    assert found.notes[-1] == f"The weights are those of the {entry}."


def test_classes_in_an_old_file_are_found_behind_any_number_of_names() -> None:
    """What was met among the first 256 is referred to in another way than what came later."""
    for count in (0, 200, 300):
        parts = [nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 1, 1), nn.Linear(2, 3)]
        content = {"names": [f"name {at}" for at in range(count)], "model": nn.Sequential(*parts)}
        found = read(content, is_new=False)
        kinds = [module.short_name for module in found.modules.values()]
        assert kinds == ["Sequential", "Conv2d", "ReLU", "Conv2d", "Linear"]


def stub(name: str, state: Any = None, *arguments: object) -> salvage.Stub:
    made: salvage.Stub = salvage._stub(name, set())(*arguments)
    made.state = state
    return made


WRAPPERS = ("DataParallel", "DistributedDataParallel", "OptimizedModule", "AveragedModel")


@pytest.mark.parametrize("name", WRAPPERS)
@pytest.mark.parametrize("place", ["", "torch.nn.parallel."])
def test_each_wrapper_comes_off(name: str, place: str) -> None:
    inner, other = stub("a.Net", {"_modules": {}}), stub("a.Other", {"x": 1})
    for key in ("module", "_orig_mod"):
        assert salvage.unwrapped(stub(place + name, {"_modules": {key: inner}})) is inner
        assert salvage.unwrapped(stub(place + name, {key: inner, "_modules": 3})) is inner
        alone = stub(place + name, {"_modules": {key: other}})
        assert salvage.unwrapped(alone) is alone
    assert salvage.unwrapped(stub(place + name, None, 3, inner)) is inner
    assert salvage.unwrapped(inner) is inner
    like = stub(f"{place}My{name}", {"_modules": {"module": inner}})
    assert salvage.unwrapped(like) is like
    assert salvage.is_module(stub(place + name, None, inner)) and salvage.is_module(inner)
    assert not salvage.is_module(other) and salvage.is_module(stub("a.B", {"training": False}))
    assert not salvage.is_module(stub(place + name, None, other))
