"""`--arch`: the user's own constructor, its arguments, and what can be wrong with them."""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from reportgen.errors import ModelError, OptionError
from reportgen.load.model import load_model
from tests.load.model_files import answers, small_net

CODE = """
from dataclasses import dataclass

import torch
from torch import nn

from blocks import Block

@dataclass
class Settings:
    width: int = 6

class Net(nn.Module):
    def __init__(self, num_classes=10, settings=Settings()):
        super().__init__()
        self.stem = Block(1, settings.width)
        self.head = nn.Linear(settings.width, num_classes)
        self.register_buffer("noise", torch.rand(3), persistent=False)

    def forward(self, pixels):
        return self.head(self.stem(pixels).mean((2, 3)))

def factory(width, n_classes):
    return Net(n_classes, Settings(width))

def needs_count(num_classes):
    return Net(num_classes)

def breaks():
    raise ZeroDivisionError("no good")

def gives_text():
    return "text"

def leaves():
    raise SystemExit(3)

def lazy():
    return nn.LazyLinear(3)

def scripted():
    return nn.Sequential(nn.Flatten(), torch.jit.script(nn.ReLU()))

def compiled():
    return torch.compile(Net(5))

def imports_late():
    from late import width
    return factory(width, 5)

NUMBER = 3
"""
BLOCKS = """
from torch import nn

class Block(nn.Sequential):
    def __init__(self, inside, outside):
        super().__init__(nn.Conv2d(inside, outside, 3), nn.ReLU())
"""


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A user's file that imports another beside it."""
    (tmp_path / "blocks.py").write_text(BLOCKS)
    file = tmp_path / "user_net.py"
    file.write_text(CODE)
    (tmp_path / "late.py").write_text("width = 6\n")
    sys.modules.pop("blocks", None)
    sys.modules.pop("late", None)
    return file


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, dict[str, torch.Tensor]]:
    """Weights of the user's network with five classes."""
    torch.manual_seed(0)
    weights = {
        "stem.0.weight": torch.randn(6, 1, 3, 3),
        "stem.0.bias": torch.randn(6),
        "head.weight": torch.randn(5, 6),
        "head.bias": torch.randn(5),
    }
    torch.save(weights, tmp_path / "net.pth")
    return tmp_path / "net.pth", weights


def literal(weights: dict[str, torch.Tensor], pixels: torch.Tensor) -> torch.Tensor:
    maps = nn.functional.conv2d(pixels, weights["stem.0.weight"], weights["stem.0.bias"]).relu()
    return nn.functional.linear(maps.mean((2, 3)), weights["head.weight"], weights["head.bias"])


Saved = tuple[Path, dict[str, torch.Tensor]]


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("Net", "", "num_classes = 5 was read from the file."),
        ("Net", '{"num_classes": 5}', ""),
        ("needs_count", "", "num_classes = 5 was read from the file."),
        ("compiled", "", ""),
        ("imports_late", "", ""),
        ("factory", '{"width": 6}', "n_classes = 5 was read from the file."),
        ("factory", '{"width": 6, "n_classes": 5}', ""),
    ],
)
def test_classes_and_factories_are_built_and_filled(
    name: str, arguments: str, said: str, code: Path, saved: Saved
) -> None:
    file, weights = saved
    random, path = torch.get_rng_state(), list(sys.path)
    loaded = load_model(file, arch=f"{code}:{name}", arch_args=arguments)
    pixels = torch.randn(2, 1, 9, 14, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert torch.equal(loaded.module(pixels), literal(weights, pixels))
    assert (loaded.architecture, loaded.architecture_source) == ("Net", "stated by flag")
    assert (loaded.in_channels, loaded.preprocessing, loaded.labels) == (1, None, ())
    assert (said in loaded.notes) == bool(said)
    assert torch.equal(torch.get_rng_state(), random) and sys.path == path
    assert not (code.parent / "__pycache__").exists()
    again = load_model(file, arch=f"{code}:{name}", arch_args=arguments)
    assert torch.equal(again.module.noise, loaded.module.noise)


def test_prefixes_are_undone_for_user_networks_too(code: Path, saved: Saved) -> None:
    file, weights = saved
    torch.save({"state_dict": {f"model.{n}": v for n, v in weights.items()}}, file)
    loaded = load_model(file, arch=f"{code}:Net")
    assert any("`model.`" in note for note in loaded.notes)


def test_a_module_of_an_unknown_class_takes_the_users_code(
    code: Path, tmp_path: Path, saved: Saved
) -> None:
    built = load_model(saved[0], arch=f"{code}:Net").module
    new, old = tmp_path / "new.pth", tmp_path / "old.pth"
    torch.save(built, new)
    torch.save(built, old, _use_new_zipfile_serialization=False)
    for file in (new, old):
        with pytest.raises(ModelError, match=r"class \S*Net, which needs .*--arch FILE\.py:Net"):
            load_model(file)
        loaded = load_model(file, arch=f"{code}:Net")
        assert loaded.format == "whole module"
        assert torch.equal(loaded.module.head.bias, saved[1]["head.bias"])


def test_a_class_that_stands_in_for_the_one_in_the_file_is_said(
    code: Path, tmp_path: Path, saved: Saved
) -> None:
    (tmp_path / "other_net.py").write_text("from user_net import Net\nclass Other(Net): pass\n")
    sys.modules.pop("user_net", None)
    whole = tmp_path / "whole.pth"
    torch.save(load_model(saved[0], arch=f"{code}:Net").module, whole)
    assert not any("stands in" in note for note in load_model(whole, arch=f"{code}:Net").notes)
    other = f"{tmp_path / 'other_net.py'}:Other"
    loaded = load_model(whole, arch=other)
    (said,) = (note for note in loaded.notes if "stands in" in note)
    assert said.startswith("The file names the class ")
    assert said.endswith(f".Net; {other} stands in for it.")
    assert loaded.architecture == "Other"
    assert torch.equal(loaded.module.head.bias, saved[1]["head.bias"])


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("Nett", "", "has no Nett; did you mean Net?"),
        ("NUMBER", "", "neither a class nor a function"),
        ("Net.x", "", "the name of a class or function"),
        ("Net", "[1]", "must be a JSON object"),
        ("Net", "{'num_classes': 5}", "is no JSON"),
        ("Net", '{"depth": 5}', "unexpected keyword argument 'depth'; it takes num_classes"),
        ("factory", "", "missing a required argument: 'width'; it takes width, n_classes"),
    ],
)
def test_wrong_arguments_are_usage_errors(
    name: str, arguments: str, words: str, code: Path, saved: Saved
) -> None:
    with pytest.raises(OptionError) as caught:
        load_model(saved[0], arch=f"{code}:{name}", arch_args=arguments)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("breaks", "the code failed in line 30 with ZeroDivisionError: no good"),
        ("gives_text", "gave a str, not a torch.nn.Module"),
        ("leaves", "the code failed in line 36 with SystemExit: 3"),
        ("lazy", "has lazy layers"),
        ("scripted", "its part 1 is TorchScript"),
    ],
)
def test_failures_of_user_code_are_one_sentence(
    name: str, words: str, code: Path, saved: Saved
) -> None:
    with pytest.raises(ModelError) as caught:
        load_model(saved[0], arch=f"{code}:{name}")
    assert words in str(caught.value)


def test_a_file_that_does_not_run_is_one_sentence(tmp_path: Path, saved: Saved) -> None:
    file = tmp_path / "bad.py"
    for text, words in [
        ("x = (\n", "bad.py: the code failed in line 1 with SyntaxError"),
        ("\nimport nowhere_at_all\n", "in line 2 with ModuleNotFoundError: No module named"),
    ]:
        file.write_text(text)
        with pytest.raises(ModelError) as caught:
            load_model(saved[0], arch=f"{file}:Net")
        assert words in str(caught.value)
    with pytest.raises(OptionError, match="there is no file"):
        load_model(saved[0], arch=f"{tmp_path / 'absent.py'}:Net")
    with pytest.raises(OptionError, match=r"give FILE\.py:NAME, torchvision:NAME or"):
        load_model(saved[0], arch="resnet18")
    with pytest.raises(OptionError, match="--arch-args needs --arch"):
        load_model(saved[0], arch_args='{"num_classes": 5}')


def test_what_does_not_fit_is_named(code: Path, saved: Saved) -> None:
    file, weights = saved
    torch.save({"head.bias": weights["head.bias"], "tail": weights["stem.0.bias"]}, file)
    with pytest.raises(ModelError) as caught:
        load_model(file, arch=f"{code}:Net", arch_args='{"num_classes": 4}')
    assert (
        "does not fit Net of --arch" in str(caught.value)
        and "stem.0.weight is missing; stem.0.bias is missing; head.weight is missing; "
        "head.bias is 5 where 4 is expected; tail is not expected."
        in str(caught.value)
    )


def test_torchvision_by_name(tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    net = small_net("squeezenet1_1", 4)
    torch.save(net.state_dict(), file)
    loaded = load_model(file, arch="torchvision:squeezenet1_1")
    assert torch.equal(answers(loaded.module), answers(net))
    assert loaded.architecture_source == "stated by flag"
    assert loaded.preprocessing is not None
    with pytest.raises(OptionError, match="did you mean squeezenet1_1"):
        load_model(file, arch="torchvision:squeezenet11")
    with pytest.raises(OptionError, match="would download"):
        load_model(file, arch="torchvision:squeezenet1_1", arch_args='{"weights": "DEFAULT"}')
    with pytest.raises(OptionError, match="`weights_backbone` would download"):
        words = '{"weights_backbone": "DEFAULT"}'
        load_model(file, arch="torchvision:fcn_resnet50", arch_args=words)
    with pytest.raises(OptionError, match="unexpected keyword argument 'depth'"):
        load_model(file, arch="torchvision:squeezenet1_1", arch_args='{"depth": 3}')
    with pytest.raises(ModelError, match=r"classifier\.1\.weight is 4x512x1x1 where 5x"):
        load_model(file, arch="torchvision:squeezenet1_1", arch_args='{"num_classes": 5}')
    with pytest.raises(ModelError, match=r"does not fit SqueezeNet .*nearest to .*squeezenet1_1"):
        load_model(file, arch="torchvision:squeezenet1_0")
    torch.save(small_net("mobilenet_v2", 4, width_mult=0.35).state_dict(), file)
    narrow = load_model(file, arch="torchvision:mobilenet_v2", arch_args='{"width_mult": 0.35}')
    assert narrow.architecture == "mobilenet_v2"
    assert "num_classes = 4 was read from the file." in narrow.notes


@pytest.mark.parametrize(
    ("features", "channels", "size"),
    [(784, 1, (28, 28)), (3072, 3, (32, 32)), (12, 3, (2, 2)), (10, 3, None)],
)
def test_flattened_inputs_are_read_as_square_images(
    features: int, channels: int, size: tuple[int, int] | None, tmp_path: Path
) -> None:
    code = tmp_path / "flat.py"
    code.write_text(
        "from torch import nn\n"
        f"def net(): return nn.Sequential(nn.Flatten(), nn.Linear({features}, 2))"
    )
    torch.save({"1.weight": torch.ones(2, features), "1.bias": torch.ones(2)}, tmp_path / "w.pth")
    loaded = load_model(tmp_path / "w.pth", arch=f"{code}:net")
    assert (loaded.in_channels, loaded.input_size) == (channels, size)
    assert any(str(features) in note for note in loaded.notes)
