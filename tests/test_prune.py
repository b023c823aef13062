"""`reportgen prune` from the command line: what it writes, proves, says and refuses."""

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from torchvision import models

from reportgen.cli import main
from reportgen.load.model import load_model
from reportgen.report.pruned import read
from tests.probe.pruning.planting import parameters

SAMPLES = Path(__file__).parent.parent / "sample_models"
LENET = (
    SAMPLES / "lenet.pth",
    SAMPLES / "fashion_mnist",
    *("--arch", f"{SAMPLES / 'lenet.py'}:LeNet", "--input-size", 28, 28),
    *("--mean", 0.286, "--std", 0.353, "-q"),
)


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of one pruning."""
    with pytest.raises(SystemExit) as left:
        main(["prune", *map(str, words)])
    out, err = capsys.readouterr()
    return int(left.value.code or 0), out, err


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pictures of noise, 40 x 32, in two folders."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(4)
    for name in ("cat/one", "cat/two", "dog/three"):
        (folder / name).parent.mkdir(exist_ok=True)
        pixels = random.integers(0, 256, (32, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


def tensors(folder: Path) -> torch.Tensor:
    """The pictures as the flags below have them prepared, (3 c h w)."""
    files = [folder / f"{name}.png" for name in ("cat/one", "cat/two", "dog/three")]
    pixels = torch.stack([torch.from_numpy(np.array(Image.open(file))) for file in files])
    return (pixels.permute(0, 3, 1, 2) / 255 - 0.5) / 0.25


SIZE = ("--input-size", 32, 40, "--mean", 0.5, 0.5, 0.5, "--std", 0.25, 0.25, 0.25, "-q")


def resnet() -> nn.Module:
    """A ResNet-18 of five classes whose units are all alive."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        net = models.resnet18(num_classes=5)
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                # With mean 6 and deviation 1, hardly any value is below zero.
                nn.init.constant_(module.bias, 6)
                module.momentum = None
        net(torch.randn(4, 3, 32, 40))
    return net.eval()


PLANTED = {
    "layer1.0.bn1": (0, 7, 63),
    "layer2.1.bn1": (3, 50, 90),
    "layer4.1.bn1": (511,),
}
"Norms inside of blocks, and their units that are made dead."


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ResNet-18 with dead units at known places, one channel of a whole stage among them."""
    net = resnet()
    with torch.no_grad():
        for path, units in PLANTED.items():
            net.get_submodule(path).bias[list(units)] = -1e3  # type: ignore[index]
        for path in ("layer3.0.bn2", "layer3.0.downsample.1", "layer3.1.bn2"):
            norm = net.get_submodule(path)
            norm.weight[9], norm.bias[9] = 0, -1  # type: ignore[index,operator]
        # Dead in one of the two that are summed: it has to stay.
        net.layer2[1].bn2.weight[5] = net.layer2[1].bn2.bias[5] = 0
    file = tmp_path_factory.mktemp("planted") / "resnet18.pth"
    torch.save(net.state_dict(), file)
    return file


def sliced(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights without what was planted, cut out by hand."""
    small = dict(state)

    def cut(name: str, axis: int, units: tuple[int, ...]) -> None:
        kept = [index for index in range(small[name].shape[axis]) if index not in units]
        small[name] = small[name].index_select(axis, torch.tensor(kept))

    def cut_norm(path: str, units: tuple[int, ...]) -> None:
        for name in ("weight", "bias", "running_mean", "running_var"):
            cut(f"{path}.{name}", 0, units)

    for path, units in PLANTED.items():
        block = path.rsplit(".", 1)[0]
        cut(f"{block}.conv1.weight", 0, units)
        cut_norm(path, units)
        cut(f"{block}.conv2.weight", 1, units)
    for conv, norm in (
        ("0.conv2", "0.bn2"),
        ("0.downsample.0", "0.downsample.1"),
        ("1.conv2", "1.bn2"),
    ):
        cut(f"layer3.{conv}.weight", 0, (9,))
        cut_norm(f"layer3.{norm}", (9,))
    for reader in ("layer3.1.conv1", "layer4.0.conv1", "layer4.0.downsample.0"):
        cut(f"{reader}.weight", 1, (9,))
    return small


def test_a_planted_resnet_loses_what_was_planted_and_nothing_else(
    planted: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "pruned.pth"
    code, out, err = run(capsys, planted, photos, *SIZE, "-o", target)
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == str(target)
    assert "8 units can go" in out
    assert "Identical answers on these 3 images" in out
    assert "layer2.1.conv2 / 5" not in out and "not all are idle" in out
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "pruned.json",
        "pruned.pt2",
        "pruned.pth",
    ]

    whole = torch.load(planted, weights_only=True)
    small = torch.load(target, weights_only=True)
    expected = sliced(whole)
    assert list(small) == list(whole)
    for name, tensor in expected.items():
        assert torch.equal(small[name], tensor), name

    record = read((tmp_path / "pruned.json").read_bytes(), "pruned.json")
    assert record is not None
    assert record.architecture == "torchvision:resnet18"
    assert record.arguments == {"num_classes": 5}
    assert record.state_dict == hashlib.sha256(target.read_bytes()).hexdigest()
    assert record.source.file == "resnet18.pth"
    assert record.source.sha256 == hashlib.sha256(planted.read_bytes()).hexdigest()
    changed = {name.rpartition(".")[0] for name in small if small[name].shape != whole[name].shape}
    assert set(record.widths) == changed
    for path, width in record.widths.items():
        shape = small[f"{path}.weight"].shape
        assert (width.out, width.inputs) == (shape[0], shape[1] if len(shape) > 1 else None)

    # The program runs by itself, on another number of images, and says what it is.
    program = torch.export.load(tmp_path / "pruned.pt2")
    net = resnet()
    net.load_state_dict(whole)
    images = tensors(photos)
    with torch.no_grad():
        torch.testing.assert_close(program.module()(images), net(images), rtol=0, atol=1e-4)
    with zipfile.ZipFile(tmp_path / "pruned.pt2") as archive:
        (inside,) = [name for name in archive.namelist() if name.endswith("/reportgen.json")]
        assert archive.read(inside) == (tmp_path / "pruned.json").read_bytes()
        content = b"".join(map(archive.read, archive.namelist()))
    # Neither a path of this machine nor the user's pictures.
    assert str(Path(models.__file__).parent).encode() not in content
    assert images[0].numpy().tobytes()[:64] not in content


def test_what_is_said_to_be_saved_is_saved(
    planted: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, planted, photos, *SIZE, "-o", tmp_path / "p.pth", "--dry-run")
    assert code == 0
    assert list(tmp_path.iterdir()) == []
    assert out.splitlines()[-1] == "Nothing was written (--dry-run)."
    whole = torch.load(planted, weights_only=True)
    names = dict(resnet().named_parameters())
    saved = sum(
        whole[name].numel() - tensor.numel()
        for name, tensor in sliced(whole).items()
        if name in names
    )
    (total,) = [line for line in out.splitlines() if line.startswith("In all")]
    assert f"-{saved:,}" in total.split()


def literally_dead(units: dict[str, torch.Tensor]) -> set[str]:
    """Units that are zero everywhere, by name."""
    return {
        f"{name} / {unit}"
        for name, values in units.items()
        for unit in range(values.shape[1])
        if not values[:, unit].any()
    }


def test_the_lenet_sample_loses_what_a_literal_forward_finds_dead(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = torch.load(SAMPLES / "lenet.pth", weights_only=True)
    files = sorted((SAMPLES / "fashion_mnist").glob("*/*.png"))
    pixels = torch.stack([torch.from_numpy(np.array(Image.open(file))) for file in files])
    x = (pixels[:, None] / 255 - 0.286) / 0.353

    def conv(name: str, x: torch.Tensor, padding: int = 0) -> torch.Tensor:
        return F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], padding=padding).relu()

    one = conv("conv1", x, 2)
    two = conv("conv2", F.avg_pool2d(one, 2))
    three = conv("conv3", F.avg_pool2d(two, 2))
    line = F.linear(three.flatten(1), state["line.weight"], state["line.bias"]).relu()
    logits = F.linear(line, state["output.weight"], state["output.bias"])
    dead = literally_dead({"conv1": one, "conv2": two, "conv3": three, "line": line})
    assert dead

    target = tmp_path / "small.pth"
    labels = ("--labels", SAMPLES / "fashion_mnist_labels.txt")
    code, out, _ = run(capsys, *LENET, *labels, "-o", target)
    assert code == 0
    small = torch.load(target, weights_only=True)
    lost = {
        name: len(state[f"{name}.weight"]) - len(small[f"{name}.weight"])
        for name in ("conv1", "conv2", "conv3", "line")
    }
    assert lost == {name: sum(d.startswith(f"{name} ") for d in dead) for name in lost}
    assert f"{len(dead)} unit" in out

    # The smaller weights, run literally, give the same scores.
    state = small
    again = conv("conv3", F.avg_pool2d(conv("conv2", F.avg_pool2d(conv("conv1", x, 2), 2)), 2))
    again = F.linear(again.flatten(1), small["line.weight"], small["line.bias"]).relu()
    again = F.linear(again, small["output.weight"], small["output.bias"])
    torch.testing.assert_close(again, logits, rtol=0, atol=1e-4)
    record = json.loads((tmp_path / "small.json").read_text())
    assert len(record["labels"]) == 10 and record["labels"][0] == "T-shirt/top"
    assert record["architecture"] == "lenet.py:LeNet"
    assert str(SAMPLES) not in (tmp_path / "small.json").read_text()


def scores(model: Path, images: torch.Tensor, arch: str = "") -> torch.Tensor:
    """What a file's network says, as `build` loads it."""
    loaded = load_model(model, arch=arch)
    with torch.no_grad():
        scores: torch.Tensor = loaded.module(images)
    return scores


def test_what_was_written_is_read_back_without_flags(
    planted: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, planted, photos, *SIZE, "-o", tmp_path / "p.pth")[0] == 0
    images = tensors(photos)
    expected = scores(planted, images)
    for name in ("p.pth", "p.pt2"):
        torch.testing.assert_close(scores(tmp_path / name, images), expected, rtol=0, atol=1e-4)
        loaded = load_model(tmp_path / name)
        # Folders of these images name no class of others.
        assert loaded.labels == ()
        assert loaded.preprocessing is not None
        assert (loaded.preprocessing.height, loaded.preprocessing.std[0]) == (32, 0.25)


def test_a_pruned_network_is_pruned_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "first.pth", tmp_path / "second.pth"
    assert run(capsys, *LENET, "-o", first)[0] == 0
    bags = SAMPLES / "fashion_mnist" / "bag"
    arch = f"{SAMPLES / 'lenet.py'}:LeNet"
    # On fewer images more is dead.
    assert run(capsys, first, bags, "--arch", arch, "-q", "-o", second)[0] == 0
    one, two = (read(f.with_suffix(".json").read_bytes(), "") for f in (first, second))
    assert one is not None and two is not None
    assert two.architecture == "lenet.py:LeNet"
    assert two.widths["line"].out < one.widths["line"].out
    pictures = [torch.from_numpy(np.array(Image.open(file))) for file in sorted(bags.glob("*"))]
    images = (torch.stack(pictures)[:, None] / 255 - 0.286) / 0.353
    expected = scores(SAMPLES / "lenet.pth", images, arch)
    for file, flag in ((second, arch), (second.with_suffix(".pt2"), "")):
        torch.testing.assert_close(scores(file, images, flag), expected, rtol=0, atol=1e-4)


def test_a_program_is_pruned_and_read_back_as_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "lenet: mine.pt2"
    net = load_model(SAMPLES / "lenet.pth", arch=f"{SAMPLES / 'lenet.py'}:LeNet").module
    batch = ({0: torch.export.Dim("batch")},)
    zeros = torch.zeros(2, 1, 28, 28)
    torch.export.save(torch.export.export(net, (zeros,), dynamic_shapes=batch), program)
    words = (SAMPLES / "fashion_mnist", "--mean", 0.286, "--std", 0.353, "-q")
    assert run(capsys, program, *words, "-o", tmp_path / "small.pth")[0] == 0
    small = load_model(tmp_path / "small.pt2")
    whole = load_model(program)
    assert parameters(small.module) < parameters(whole.module)
    assert small.preprocessing is not None and small.preprocessing.mean == (0.286,)
    record = read((tmp_path / "small.json").read_bytes(), "")
    assert record is not None and record.architecture == "lenet_ mine.pt2:LeNet"


def test_the_same_inputs_give_the_same_bytes_and_ours_are_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "small.pth"
    contents = []
    for _ in range(2):
        assert run(capsys, *LENET, "-o", target)[0] == 0
        contents.append({file.name: file.read_bytes() for file in tmp_path.iterdir()})
    assert contents[0] == contents[1]


def test_no_program_of_an_earlier_network_stays_beside_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, *LENET, "-o", tmp_path / "small.pth")[0] == 0
    monkeypatch.setattr("reportgen.prune.program_bytes", lambda *_: (b"", "No .pt2 file."))
    assert run(capsys, *LENET, "-o", tmp_path / "small.pth")[0] == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == ["small.json", "small.pth"]


@pytest.mark.parametrize("name", ["small.pth", "small.json", "small.pt2"])
def test_files_of_others_are_replaced_by_force_alone(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_bytes(b"mine")
    code, _, err = run(capsys, *LENET, "-o", tmp_path / "small.pth")
    assert code == 6
    assert f"{name} exists and was not written by reportgen" in err
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {name: b"mine"}
    assert run(capsys, *LENET, "-o", tmp_path / "small.pth", "--force")[0] == 0
    assert (tmp_path / name).read_bytes() != b"mine"


def test_the_model_itself_is_never_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "lenet.pth"
    model.write_bytes(LENET[0].read_bytes())  # type: ignore[union-attr]
    code, _, err = run(capsys, model, *LENET[1:], "-o", model, "--force")
    assert code == 6
    assert "is what the smaller network is made from" in err


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("--kinds", "dead,constnat"), 2, "did you mean constant?"),
        (("--kinds", ","), 2, "--kinds names nothing"),
        (("--max-drop", "2"), 2, "--max-drop"),
        (("--max-drop", "nan"), 2, "give a share between 0 and 1"),
        (("-o", "nowhere/there/small.pth"), 6, "There is no folder"),
        (("-o", "small.json"), 6, "give a name that ends with .pth"),
        (("--device", "abacus"), 2, "abacus"),
    ],
    ids=["kind", "no kind", "drop", "no drop", "folder", "name", "device"],
)
def test_bad_input_gets_one_sentence(
    words: tuple[str, ...],
    code: int,
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    left, _, err = run(capsys, *LENET, *words)
    assert left == code
    assert sentence in err
    assert list(tmp_path.iterdir()) == []


def test_nothing_to_remove_is_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "small.pth"
    code, out, _ = run(capsys, *LENET, "-o", target, "--kinds", "duplicate")
    assert code == 0
    assert out.splitlines()[-1].startswith("Nothing was written: no unit")
    assert list(tmp_path.iterdir()) == []


def test_other_answers_are_told_and_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from reportgen import prune
    from reportgen.probe.pruning.smaller import smaller_state

    def damaged(*given: Any) -> dict[str, torch.Tensor]:
        state = smaller_state(*given)
        state["output.bias"] = state["output.bias"] + torch.arange(10) * 1e3
        return state

    monkeypatch.setattr(prune, "smaller_state", damaged)
    target = tmp_path / "small.pth"
    code, out, err = run(capsys, *LENET, "-o", target)
    assert code == 1
    # The last of the ten classes now wins everywhere; two of the twenty images are of it.
    assert "Scores differ by up to 9e+03 on these 20 images." in out
    assert "answers of 20 changed" in out
    assert "by more than --max-drop 0 allows" in err and "nothing was written" in err
    assert list(tmp_path.iterdir()) == []
    code, out, _ = run(capsys, *LENET, "-o", target, "--max-drop", 1)
    assert (code, out.splitlines()[-1]) == (0, str(target))


def test_a_network_that_cannot_be_followed_is_told(
    tmp_path: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code_file = tmp_path / "fickle.py"
    code_file.write_text(
        "import torch\n"
        "class Fickle(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.conv = torch.nn.Conv2d(3, 4, 3)\n"
        "    def forward(self, x):\n"
        "        y = self.conv(x)\n"
        "        return (y if y.sum() > 0 else -y).mean((2, 3))\n"
    )
    torch.save(nn.ModuleDict({"conv": nn.Conv2d(3, 4, 3)}).state_dict(), tmp_path / "fickle.pth")
    words = (tmp_path / "fickle.pth", photos, *SIZE, "--arch", f"{code_file}:Fickle")
    code, _, err = run(capsys, *words, "-o", tmp_path / "small.pth")
    assert code == 4
    assert "fickle.pth cannot be pruned. The network cannot be followed step by step" in err


def test_the_small_resnet_and_squeezenet_samples_are_left_or_proven(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (
        *("--arch", f"{SAMPLES / 'small_resnet.py'}:SmallResNet", "--input-size", 28, 28),
        *("--mean", 0.286, "--std", 0.353, "-q"),
    )
    model = SAMPLES / "small_resnet.pth"
    code, out, _ = run(capsys, model, SAMPLES / "fashion_mnist", *words, "-o", tmp_path / "r.pth")
    assert code == 0
    assert "Nothing was written" in out or "Identical answers on these 20 images" in out
    squeeze = (SAMPLES / "squeezenet1_1.pth", SAMPLES / "photos", "-q", "-o", tmp_path / "s.pth")
    code, out, _ = run(capsys, *squeeze)
    assert code == 0
    assert "Nothing was written" in out or "Identical answers on these 6 images" in out


def test_the_program_is_written_for_one_image_where_export_fixes_the_batch() -> None:
    from reportgen.pruned_files import program_bytes

    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(12, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(x.flatten(1)) * (2 if x.shape[0] > 5 else 1)

    content, said = program_bytes(Fixed().eval(), (3, 2, 2), b"{}")
    assert said.startswith("The .pt2 file takes one image at a time")
    torch.export.load(io.BytesIO(content))

    class Broken(Fixed):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(x.flatten(1)) if x.sum() > 0 else self.fc(-x.flatten(1))

    content, said = program_bytes(Broken().eval(), (3, 2, 2), b"{}")
    assert content == b"" and said.startswith("No .pt2 file: torch.export cannot take")
    assert parameters(Broken()) == 26
