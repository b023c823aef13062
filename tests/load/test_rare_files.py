"""Files and networks that are seldom met: each is told in words, and none is guessed at."""

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.ao.nn.quantized import Quantize

from reportgen.errors import ModelError, OptionError
from reportgen.load import fitting, network, salvage
from reportgen.load.checkpoint import Checkpoint, read_checkpoint
from reportgen.load.exported import Exported
from reportgen.load.exported_network import program_network, saved_modules
from reportgen.load.formats import kind_of
from reportgen.load.known_network import with_weights
from reportgen.load.listing import _names
from reportgen.load.model import input_of
from reportgen.load.plain_tensors import plain_tensors
from reportgen.load.pruned_files import description
from reportgen.load.request import Request
from reportgen.load.salvage import SavedModule
from reportgen.load.torchvision_nets import (
    build,
    first_convolution,
    published,
    take_channels,
)
from reportgen.load.user_code import constructor, count_name, needs
from tests.fuzz.containers import TABLE, contained
from tests.load.model_files import Call
from tests.load.programs import export

TABLE_OF_PT2, PROGRAM_OF_PT2 = 5, 6


def read(content: Any, key: str = "") -> Checkpoint:
    stream = io.BytesIO()
    torch.save(content, stream)
    stream.seek(0)
    return read_checkpoint(Path("m.pth"), stream, key)


class Settings:
    """An object of a class that is no network."""


CONTENTS = {
    "object": (Settings(), r"an object of the class [\w.]*test_rare_files\.Settings"),
    "class": (Settings, r"a reference to [\w.]*test_rare_files\.Settings"),
    "module of whole numbers": (nn.Sequential(Quantize(1.0, 0, torch.quint8)), "quantised weights"),
    "call without state": (Call(nn.DataParallel, 3), "an object of the class"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CONTENTS)
def test_what_stands_for_no_weights_is_named(name: str) -> None:
    content, words = CONTENTS[name]
    with pytest.raises(ModelError, match=words):
        read(content)


class Names(list):  # type: ignore[type-arg]
    """A list with a name of its own, as settings of other tools are."""


class Settled(dict):  # type: ignore[type-arg]
    """A table with a name of its own."""


@pytest.mark.parametrize("items", [(), ("a",), ("a", "b")])
@pytest.mark.parametrize("is_legacy", [True, False])
def test_lists_and_tables_of_other_classes_beside_the_weights_do_no_harm(
    items: tuple[str, ...], is_legacy: bool
) -> None:
    content = {
        "state_dict": {"w": torch.ones(2)},
        "names": Names(items),
        "settings": Settled(dict.fromkeys(items, 1)),
    }
    stream = io.BytesIO()
    torch.save(content, stream, _use_new_zipfile_serialization=not is_legacy)
    stream.seek(0)
    assert list(read_checkpoint(Path("m.pth"), stream).tensors) == ["w"]
    weights = Settled({item: torch.ones(2) for item in items})
    if items:
        assert list(read(weights).tensors) == list(items)


def test_a_wrapper_around_nothing_is_no_network() -> None:
    wrapper = nn.DataParallel(nn.Identity())
    del wrapper._modules["module"]
    with pytest.raises(ModelError, match="holds no weights"):
        read(wrapper)


def test_a_key_by_hand_leads_to_weights_or_is_refused() -> None:
    content = {"a": {"model": {"w": torch.ones(2)}}, "b": {"lr": 1}, "c": [1]}
    assert list(read(content, "a").tensors) == ["w"]
    for key, words in {"b": "holds a dict", "c": "holds a list", "c.d": "has no entries"}.items():
        with pytest.raises(OptionError, match=f"--weights-key {key}: .*{words}"):
            read(content, key)


def test_a_frozen_script_has_its_weights_in_its_code() -> None:
    stream = io.BytesIO()
    net = torch.jit.trace(nn.Conv2d(1, 2, 1).eval(), torch.ones(1, 1, 3, 3))
    torch.jit.save(torch.jit.freeze(net), stream)
    stream.seek(0)
    with pytest.raises(ModelError, match="it is a frozen TorchScript"):
        read_checkpoint(Path("m.pt"), stream)


def zipped(**records: bytes) -> io.BytesIO:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in records.items():
            archive.writestr(f"m/{name.replace('__', '.')}", content)
    return stream


def test_other_files_by_their_first_bytes() -> None:
    with pytest.raises(ModelError, match="TensorFlow Lite"):
        kind_of(io.BytesIO(b"\x1c\0\0\0TFL3" + bytes(20)), "m.pth")


def test_a_record_that_claims_more_than_the_file_has_is_refused() -> None:
    whole = bytearray(zipped(data__pkl=b"\x80\x02}.", version=b"3").getvalue())
    place = whole.rindex(b"PK\x01\x02")
    whole[place + 20 : place + 28] = (1 << 20).to_bytes(4, "little") * 2
    with pytest.raises(ModelError, match="claims more data than it has"):
        kind_of(io.BytesIO(bytes(whole)), "m.pth")


def test_a_record_in_a_way_of_packing_that_nobody_knows() -> None:
    whole = bytearray(zipped(data__pkl=b"\x80\x02}.", version=b"3").getvalue())
    place = whole.index(b"PK\x01\x02")
    whole[place + 6 : place + 8] = (99).to_bytes(2, "little")
    with pytest.raises(ModelError, match="damaged zip archive"):
        kind_of(io.BytesIO(bytes(whole)), "m.pth")


def table(change: Any) -> bytes:
    entries = json.loads(TABLE)
    change(entries["config"]["0.bias"])
    return contained(bytes([TABLE_OF_PT2]) + json.dumps(entries).encode())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda e: e.update(use_pickle=True), "it asks for a pickle"),
        (lambda e: e.update(path_name="../x"), "no plain record name"),
        (lambda e: e["tensor_meta"].update(dtype=9), "number format 9 is not supported"),
        (lambda e: e["tensor_meta"].update(sizes=[{"as_int": 17}]), "smaller than its shape"),
        (lambda e: e["tensor_meta"].update(sizes=[{"as_int": -1}]), "smaller than its shape"),
        (lambda e: e.pop("tensor_meta"), "cannot be read: tensor_meta"),
        (lambda e: e.update(path_name="weight_9"), "no item named"),
    ],
)
def test_a_table_of_weights_that_lies_is_refused(change: Any, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        read_checkpoint(Path("m.pt2"), io.BytesIO(table(change)))


def test_a_weight_without_numbers_is_one() -> None:
    def empty(entry: Any) -> None:
        entry["tensor_meta"].update(sizes=[{"as_int": 0}])
        entry["path_name"] = "weight_8"

    whole = io.BytesIO(table(empty))
    with zipfile.ZipFile(whole, "a") as archive:
        archive.writestr("m/data/weights/weight_8", b"")
    assert read_checkpoint(Path("m.pt2"), whole).tensors["0.bias"].shape == (0,)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("m/byteorder", b"big", "big-endian machine"),
        ("m/data/weights/n_weights_config.json", TABLE, "2 tables of weights"),
    ],
)
def test_a_program_file_of_another_kind_is_named(name: str, content: bytes, words: str) -> None:
    stream = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(table(lambda _: None))) as whole,
        zipfile.ZipFile(stream, "w") as copy,
    ):
        for record in whole.namelist():
            if record != name:
                copy.writestr(record, whole.read(record))
        copy.writestr(name, content)
    with pytest.raises(ModelError, match=words):
        read_checkpoint(Path("m.pt2"), stream)


class Twos(nn.Module):
    """Takes pictures of a fixed batch, and fails for others."""

    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.head = nn.Linear(12 * width, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x.flatten(1))


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    file = tmp_path_factory.mktemp("program") / "m.pt2"
    export(Twos().eval(), torch.rand(2, 3, 3, 4), file)
    with file.open("rb") as stream:
        return read_checkpoint(file, stream)


def requested(checkpoint: Checkpoint) -> Request:
    return Request("m.pt2", "", checkpoint, "", {})


def test_a_program_that_its_weights_do_not_fit_is_refused(program: Checkpoint) -> None:
    longer = {**program.tensors, "head.bias": torch.ones(1, 4)}
    with pytest.raises(ModelError, match=r"its weights do not fit: head\.bias is 1x4 where 4"):
        program_network(requested(replace(program, tensors=longer)))


def test_a_program_that_cannot_be_read_says_nothing_of_modules(program: Checkpoint) -> None:
    assert saved_modules(requested(program))["head"].short_name == "Linear"
    silent = replace(program, exported=Exported(b"", {}, b""))
    assert saved_modules(requested(silent)) == {}
    with pytest.raises(ModelError, match="does not hold exactly one program"):
        program_network(requested(silent))


def test_weights_that_do_not_load_are_told_by_torchs_own_words() -> None:
    class Stubborn(nn.Linear):
        def _load_from_state_dict(self, *arguments: Any, **named: Any) -> None:
            raise RuntimeError("no, thank\n you")

    net = Stubborn(2, 3)
    with pytest.raises(ModelError, match=r"m\.pth does not load into Stubborn: no, thank you"):
        fitting.pour(net, dict(nn.Linear(2, 3).state_dict()), "m.pth")


def test_the_class_count_is_one_size_in_place_of_another() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 5))
    assert (
        fitting.class_count(net, nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 7)).state_dict()) == 7
    )
    other = nn.Sequential(nn.Linear(9, 3), nn.Linear(3, 7)).state_dict()
    assert fitting.class_count(net, other) is None
    assert fitting.class_count(net, {"0.weight": torch.ones(1)}) is None


def test_the_least_different_reading_is_shown() -> None:
    weights = {f"module.{name}": value for name, value in nn.Linear(2, 3).state_dict().items()}
    assert fitting.fit(nn.Linear(2, 4), weights) == [
        "weight is 3x2 where 4x2 is expected",
        "bias is 3 where 4 is expected",
    ]


def test_modules_without_weights_may_be_absent_and_odd_settings_are_left_alone() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3))
    net[0].odd = object()
    block = SavedModule("x.Block", {}, is_leaf=False, has_hooks=False)
    conv = SavedModule("x.Conv2d", {"odd": 3, "stride": 1, "padding": (0, 1)}, True, False)
    found = fitting.unlike(net, {"": block, "gone": block, "0": conv}, is_whole=True)
    assert found == ["0.padding is (0, 1) in the file, (0, 0) in torchvision's"]
    leaf = SavedModule("x.ReLU", {}, is_leaf=True, has_hooks=False)
    assert fitting.unlike(net, {"1": leaf}, is_whole=True) == [
        "1 (ReLU) is in the file only",
        "0 is missing in the file",
    ]


def test_several_architectures_that_fit_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from reportgen.load.architectures import known_architectures

    two = [(architecture, {"classes": 3}) for architecture in known_architectures()[:2]]
    monkeypatch.setattr(network, "recognise", lambda _: two)
    with pytest.raises(ModelError, match=r"fits several architectures \(alexnet, convnext_base\)"):
        network.network_for(Request("m", "", Checkpoint({"w": torch.ones(1)}, "zip"), "", {}))


def test_a_transformer_whose_patches_are_no_square_is_refused() -> None:
    from reportgen.load.architectures import known_architectures

    (vit,) = [a for a in known_architectures() if a.name == "vit_b_16"]
    sizes = {"classes": 1000, "channels": 3, "positions": 12}
    request = Request("m", "", Checkpoint({}, "zip"), "", {})
    with pytest.raises(ModelError, match="12 positions, which are no square"):
        with_weights(request, vit, sizes, {}, ())


def test_a_class_of_another_name_with_torchvisions_weights_is_said() -> None:
    from torchvision.models import squeezenet1_1

    from reportgen.load.architectures import recognise, shapes_of

    tensors = squeezenet1_1().state_dict()
    named = {"": SavedModule("mine.Net", {}, is_leaf=False, has_hooks=False)}
    checkpoint = Checkpoint(tensors, "TorchScript", (), named)
    request = Request("m", "", checkpoint, "torchvision:squeezenet1_1", {})
    ((architecture, sizes),) = recognise(shapes_of(tensors))
    notes = with_weights(request, architecture, sizes, tensors, ()).notes
    assert any("The file names the class mine.Net; torchvision's squeezenet1_1" in n for n in notes)


@pytest.mark.parametrize(
    ("net", "expected"),
    [
        (nn.ReLU(), (3, None, "no convolution or linear layer; RGB")),
        (nn.Linear(12, 2), (3, (2, 2), "3 x 2 x 2 images are assumed")),
        (nn.Linear(9, 2), (1, (3, 3), "1 x 3 x 3 images are assumed")),
        (nn.Linear(7, 2), (3, None, "which are no square image")),
    ],
)
def test_what_a_network_takes_is_read_off_its_first_layer(net: nn.Module, expected: Any) -> None:
    channels, size, notes = input_of(net)
    assert (channels, size) == expected[:2] and expected[2] in notes[0]


@pytest.mark.parametrize(
    ("stated", "size"),
    [((3, 20, 30), (20, 30)), ([20, 30], (20, 30)), (24, (24, 24)), ((0, 5), None), ("24", None)],
)
def test_a_size_that_a_network_states_is_taken(stated: Any, size: Any) -> None:
    net = nn.Conv2d(2, 3, 1)
    net.img_size = stated
    assert input_of(net) == (2, size, ())
    net.image_size = True
    assert input_of(net)[1] == size


def test_tensors_beyond_measure_are_refused() -> None:
    weight = torch.ones(1)
    with pytest.raises(ModelError, match="holds 50,001 tensors"):
        plain_tensors({str(number): weight for number in range(50_001)}, 10, "m.pth")
    with pytest.raises(ModelError, match="claims 400 bytes of weights, and has 399"):
        plain_tensors({"w": torch.ones(100)}, 399, "m.pth")
    assert list(plain_tensors({"w": torch.ones(100)}, 400, "m.pth")) == ["w"]

    class Packed(torch.Tensor):
        pass

    with pytest.raises(ModelError, match="holds w as a Packed"):
        plain_tensors({"w": torch.ones(1).as_subclass(Packed)}, 400, "m.pth")


def test_what_lies_beside_a_file_and_cannot_be_read_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "m.json").write_text("{}")
    monkeypatch.setattr(Path, "open", lambda *_: (_ for _ in ()).throw(OSError(5, "Input error")))
    said = description(tmp_path / "m.pth", "", None)
    assert said.problem == "m.json cannot be read: Input error."


def test_a_root_is_a_place_without_a_name() -> None:
    assert _names([Path("/"), Path("/")]) == ["", ""]
    assert _names([Path("/a/b"), Path("/c/b"), Path("/")]) == ["a/b", "c/b", ""]


def test_code_that_takes_away_its_own_folder_from_the_path_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text("import sys\nfrom collections import Counter\nsys.path.remove(__file__[:-7])\n")
    assert constructor(f"{file}:Counter").__name__ == "Counter"


def test_a_maker_that_hides_its_parameters_takes_any() -> None:
    assert count_name(dict) == "" and not needs(dict, "classes")


def test_the_first_of_equally_different_readings_is_shown() -> None:
    assert fitting.fit(nn.Linear(2, 4), {"a.b": torch.ones(1)}) == [
        "weight is missing",
        "bias is missing",
        "a.b is not expected",
    ]


def test_a_module_of_endless_parts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(salvage, "_MOST_MODULES", 3)
    with pytest.raises(ModelError, match="holds more than 3 modules"):
        read(nn.Sequential(*(nn.Conv2d(1, 1, 1) for _ in range(3))))
    assert len(read(nn.Sequential(nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1))).modules) == 3


def test_memory_that_runs_out_is_no_fault_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate")

    monkeypatch.setattr(salvage, "_load", full)
    with pytest.raises(MemoryError):
        read({"w": torch.ones(1)})


@pytest.mark.parametrize("channels", [3, 5])
def test_the_first_convolution_takes_as_many_channels_as_asked(channels: int) -> None:
    net = build("squeezenet1_1", {"num_classes": 3})
    take_channels(net, channels)
    assert net.get_submodule(first_convolution(net)).weight.shape[1] == channels


def test_five_channels_have_no_published_preprocessing() -> None:
    found = published("squeezenet1_1", sha256="", classes=9, channels=5, size=None)
    assert found.preprocessing is None
