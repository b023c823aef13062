"""What is no model, or no whole one, is told in one sentence that names the true cause."""

import io
import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from reportgen.errors import ModelError, ReportgenError
from reportgen.load.checkpoint import read_checkpoint
from reportgen.load.model import load_model
from tests.load.model_files import small_net, with_records


@pytest.fixture(scope="module")
def zipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An honest checkpoint in the zip format."""
    file = tmp_path_factory.mktemp("zip") / "weights.pth"
    torch.save(small_net().state_dict(), file)
    return file


def zip_bytes(**records: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in records.items():
            archive.writestr(name.replace("__", "."), content)
    return stream.getvalue()


def numpy_bytes(save: Any) -> bytes:
    stream = io.BytesIO()
    save(stream, np.ones(3))
    return stream.getvalue()


def png_bytes() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (4, 3)).save(stream, "PNG")
    return stream.getvalue()


STRANGERS = {
    "text": (b"import torch\nprint('hello')\n", "is a text file"),
    "unicode": ("größe = 3\n".encode() * 200, "is a text file"),
    "json": (b'{"lr": 0.1, "x": {"y": 1}}', "is a text file"),
    "npy": (numpy_bytes(np.save), "NumPy array"),
    "keras": (zip_bytes(model__weights__h5=b"1", config__json=b"{}"), "Keras"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(20), "HDF5"),
    "onnx": (b"\x08\x08\x12\x07pytorch\x1a\x052.1.0", "ONNX"),
    "png": (png_bytes(), "PNG image"),
    "noise": (bytes(range(128, 256)) * 4, r"begins with 80 81 82 83"),
    "pickle": (b"\x80\x02]q\x00.", "plain pickle"),
    "zeros": (bytes(100), "begins with 00 00 00 00"),
}


@pytest.mark.parametrize("name", STRANGERS)
def test_what_is_no_model_is_named(name: str, tmp_path: Path) -> None:
    content, words = STRANGERS[name]
    file = tmp_path / "model.pth"
    file.write_bytes(content)
    with pytest.raises(ModelError, match=words) as caught:
        load_model(file)
    message = str(caught.value)
    assert message.startswith("model.pth ") and "\n" not in message and "\x1b" not in message


def test_folders_and_absent_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is a folder"):
        load_model(tmp_path)
    with pytest.raises(ModelError, match="No such file"):
        load_model(tmp_path / "absent.pth")


def quantised_layers() -> nn.Module:
    net: nn.Module = torch.ao.quantization.quantize_dynamic(
        nn.Sequential(nn.Linear(2, 2)), {nn.Linear}
    )
    return net


def whole_numbers() -> dict[str, torch.Tensor]:
    return {name: value.to(torch.int8) for name, value in small_net().state_dict().items()}


def quantised_tensor() -> dict[str, torch.Tensor]:
    return {"weight": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)}


CONTENTS: dict[str, tuple[Callable[[], Any], str]] = {
    "tensor": (lambda: torch.ones(2, 3), r"a single tensor of shape \(2, 3\)"),
    "list": (lambda: [1, 2], "holds a list"),
    "nothing": (dict, "holds nothing"),
    "optimizer": (lambda: {"optimizer": {"state": {}}, "epoch": 1}, "it holds optimizer, epoch"),
    "float8": (lambda: {"weight": torch.ones(2).to(torch.float8_e4m3fn)}, "as float8_e4m3fn"),
    "sparse": (lambda: {"weight": torch.eye(3).to_sparse()}, "weight as a sparse tensor"),
    "complex": (lambda: {"weight": torch.ones(2, dtype=torch.complex64)}, "weight as complex64"),
    "meta": (
        lambda: {"weight": torch.ones(2, device="meta")},
        "holds no weights: weight has a shape but no values",
    ),
    "quantised tensor": (quantised_tensor, "weight as qint8"),
    "quantised layers": (quantised_layers, "quantised weights .*quantized.dynamic"),
    "quantised state_dict": (
        lambda: quantised_layers().state_dict(),
        "quantised weights .*_packed_params",
    ),
    "repeated": (lambda: {"weight": torch.ones(1).expand(1 << 40)}, "weight as 1,099,511,627,776 "),
    "whole numbers": (whole_numbers, "as int8, where the network computes with real numbers"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CONTENTS)
def test_torch_files_without_usable_weights_say_what_they_hold(name: str, tmp_path: Path) -> None:
    content, words = CONTENTS[name]
    file = tmp_path / "model.pth"
    torch.save(content(), file)
    with pytest.raises(ModelError, match=words):
        load_model(file)


@pytest.mark.parametrize("share", [0.001, 0.5, 0.99999])
@pytest.mark.parametrize("form", ["legacy", "safetensors"])
def test_a_file_cut_short_is_called_that(form: str, share: float, tmp_path: Path) -> None:
    file = tmp_path / "model.pth"
    weights = small_net().state_dict()
    if form == "safetensors":
        save_file(weights, file)
    else:
        torch.save(weights, file, _use_new_zipfile_serialization=False)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ModelError, match="cut short"):
        load_model(file)


def test_a_flipped_bit_never_changes_weights_in_silence(zipped: Path, tmp_path: Path) -> None:
    def weights(file: Path) -> dict[str, torch.Tensor]:
        with file.open("rb") as stream:
            return dict(read_checkpoint(file, stream).tensors)

    whole = zipped.read_bytes()
    expected = weights(zipped)
    file = tmp_path / "flipped.pth"
    generator = random.Random(0)
    places = [generator.randrange(len(whole)) for _ in range(100)]
    # Most of a file is numbers, so some more where its directory is.
    places += [len(whole) - generator.randrange(1, 9000) for _ in range(50)]
    refused = 0
    for place in places:
        changed = bytearray(whole)
        changed[place] ^= 1 << generator.randrange(8)
        file.write_bytes(changed)
        try:
            found = weights(file)
        except ModelError:
            refused += 1
        else:
            # The bit was in padding, or in a date of the directory.
            assert all(torch.equal(value, expected[name]) for name, value in found.items())
    assert refused >= 120


def test_a_wrong_checksum_names_its_record(zipped: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(zipped) as archive:
        info = next(i for i in archive.infolist() if i.filename.endswith("data/0"))
        start = zipped.read_bytes().index(archive.read(info))
    changed = bytearray(zipped.read_bytes())
    changed[start + 5] ^= 16
    file = tmp_path / "flipped.pth"
    file.write_bytes(changed)
    assert torch.load(file, weights_only=True)  # torch itself does not notice
    with pytest.raises(ModelError, match=r"damaged: the checksum of its record weights/data/0"):
        load_model(file)


def test_odd_zip_archives_are_refused(zipped: Path, tmp_path: Path) -> None:
    file = tmp_path / "odd.pth"
    with_records(zipped, file, lambda name, content: content)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("weights/DATA.pkl", b"\x80\x02N.")
    with pytest.raises(ModelError, match="two records named"):
        load_model(file)
    with_records(zipped, file, lambda name, content: content)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("weights/../../x", b"")
    with pytest.raises(ModelError, match="leaves the archive"):
        load_model(file)
    with_records(zipped, file, lambda name, content: content)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("/weights/x", b"")
    with pytest.raises(ModelError, match="leaves the archive"):
        load_model(file)
    with_records(zipped, file, lambda name, content: content)
    with zipfile.ZipFile(file, "a") as archive:
        archive.comment = b"PK"
    with pytest.raises(ModelError, match="comment"):
        load_model(file)
    file.write_bytes(zipped.read_bytes() * 2)
    with pytest.raises(ModelError, match="something before its zip archive"):
        load_model(file)
    without = with_records(
        zipped, file, lambda name, content: None if name.endswith("data/0") else content
    )
    with pytest.raises(ModelError, match="cannot be read as a torch file"):
        load_model(without)


def test_newer_pickle_protocols_are_named(tmp_path: Path) -> None:
    file = tmp_path / "model.pth"
    for is_new in (True, False):
        torch.save(
            {"weight": torch.ones(2)},
            file,
            pickle_protocol=4,
            _use_new_zipfile_serialization=is_new,
        )
        with pytest.raises(ModelError, match="pickle protocol 4"):
            load_model(file)


def test_damaged_safetensors_headers_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    entry = '{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
    headers = {
        f'{{"a":{entry},"a":{entry}}}': "damaged safetensors header",
        '{"a":{"dtype":"F32"}}': "damaged safetensors header",
        '{"a":3': "damaged safetensors header",
        f'{{"a":{entry.replace("[1]", "[9]")}}}': "damaged safetensors file",
        json.dumps({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}): "cut short",
    }
    for header, words in headers.items():
        file.write_bytes(len(header).to_bytes(8, "little") + header.encode() + bytes(4))
        with pytest.raises(ModelError, match=words):
            load_model(file)
    file.write_bytes((1 << 62).to_bytes(8, "little") + b"{" + bytes(20))
    with pytest.raises(ModelError, match="not a model file"):
        load_model(file)


class Tiny(nn.Module):
    """A network whose files are small enough to damage them everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 2, 2)
        self.norm = nn.BatchNorm2d(2)


def damaged(content: bytes, generator: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(generator.choice([1, 2, 5])):
        place = generator.randrange(len(changed))
        how = generator.random()
        if how < 0.6:
            changed[place] = generator.randrange(256)
        elif how < 0.8:
            del changed[place : place + 3]
        else:
            changed[place:place] = changed[place : place + 9]
    return bytes(changed)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", ["zip", "whole", "legacy", "whole legacy", "safetensors"])
def test_no_damage_gives_anything_but_a_plain_error(
    form: str, tmp_path: Path, read_here: None
) -> None:
    whole, file = tmp_path / "whole", tmp_path / "damaged"
    net = Tiny()
    if form == "safetensors":
        save_file(net.state_dict(), whole)
    else:
        content = net if "whole" in form else net.state_dict()
        torch.save(content, whole, _use_new_zipfile_serialization="legacy" not in form)
    generator = random.Random(form)
    for _ in range(200):
        if form in ("zip", "whole"):
            # The checksums are made right again, so that the damage reaches the reader.
            with_records(
                whole,
                file,
                lambda name, data: damaged(data, generator) if name.endswith("data.pkl") else data,
            )
        else:
            file.write_bytes(damaged(whole.read_bytes(), generator))
        with pytest.raises(ReportgenError, match="damaged"):
            load_model(file)
