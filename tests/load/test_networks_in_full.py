"""What is said of a network that was recognised, built or given, whole sentences."""

import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from torchvision import models

from reportgen.errors import ModelError, OptionError
from reportgen.load import torchvision_nets
from reportgen.load.known_network import own_modules
from reportgen.load.model import LoadedModel, load_model
from reportgen.load.pruned_files import description
from reportgen.load.salvage import SavedModule
from reportgen.load.torchvision_nets import published
from tests.load.model_files import small_net


def refusal(work: Any, *given: Any, **named: Any) -> str:
    with pytest.raises((ModelError, OptionError)) as caught:
        work(*given, **named)
    return str(caught.value)


def saved(content: Any, folder: Path, name: str = "m.pth") -> Path:
    torch.save(content, folder / name)
    return folder / name


def squeezenet(classes: int = 4) -> nn.Module:
    return small_net("squeezenet1_1", classes)


def everything(loaded: LoadedModel) -> dict[str, Any]:
    return {name: value for name, value in vars(loaded).items() if name != "module"}


OWN = "If it is your own network, give its code: --arch FILE.py:NAME."


def test_a_recognised_network_is_told_in_full(tmp_path: Path) -> None:
    file = saved(squeezenet().half().state_dict(), tmp_path)
    loaded = load_model(file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert everything(loaded) == {
        "file": "m.pth",
        "sha256": digest,
        "architecture": "squeezenet1_1",
        "architecture_source": "recognised from keys and shapes",
        "format": "state_dict",
        "dtype": "float16",
        "preprocessing": published("squeezenet1_1", digest, None, 3, 4).preprocessing,
        "labels": (),
        "labels_source": "",
        "in_channels": 3,
        "input_size": None,
        "notes": (),
        "arguments": {"num_classes": 4},
        "pruned": None,
        "bytes": file.stat().st_size,
        "takes_volumes": False,
        "slices": None,
    }
    assert loaded.name == "m.pth"


def test_a_network_with_a_double_elsewhere_says_so(tmp_path: Path) -> None:
    file = saved(small_net("resnet18", 3).state_dict(), tmp_path)
    assert load_model(file).notes == (
        "timm's resnetblur18 would have the same weights as resnet18, and give other numbers; if "
        "it is your own network, give its code: --arch FILE.py:NAME.",
    )


def test_other_channels_and_sizes_are_said(tmp_path: Path) -> None:
    grey = squeezenet()
    grey.features[0] = nn.Conv2d(1, 64, 3, stride=2)
    assert load_model(saved(grey.state_dict(), tmp_path)).notes == (
        "The first convolution takes 1 channels, torchvision's takes 3; all else is torchvision's.",
    )
    vit = dict(small_net("vit_b_32", 4, image_size=64).state_dict())
    loaded = load_model(saved(vit, tmp_path))
    assert loaded.arguments == {"num_classes": 4, "image_size": 64}
    assert (loaded.input_size, loaded.notes) == ((64, 64), ())
    vit["encoder.pos_embedding"] = torch.ones(1, 8, 768)
    assert refusal(load_model, saved(vit, tmp_path)) == (
        "m.pth is a vit_b_32 with 8 positions, which are no square of patches and a class token."
    )


def test_the_order_of_colours_is_said_where_it_is_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = small_net("googlenet", 1000, aux_logits=False, init_weights=False)
    file = saved(net.state_dict(), tmp_path)
    loaded = load_model(file)
    assert loaded.notes == (
        "googlenet's transform_input is not stored with weights and assumed off; if the weights "
        "were trained from torchvision's, use --arch torchvision:googlenet --arch-args "
        "'{\"transform_input\": true}'.",
    )
    assert loaded.arguments == {
        "aux_logits": False, "num_classes": 1000, "transform_input": False,
    }  # fmt: skip
    monkeypatch.setattr(torchvision_nets, "hash_digits", lambda url: loaded.sha256[:8])
    own = load_model(file)
    assert own.notes == (
        "googlenet's transform_input is on, as in torchvision's own use of this file.",
    )
    assert own.module.transform_input is True
    told = load_model(file, arch="torchvision:googlenet", arch_args='{"transform_input": false}')
    assert (told.notes, told.module.transform_input) == ((), False)
    whole = load_model(saved(net, tmp_path))
    assert (whole.notes, whole.module.transform_input) == ((), False)


def test_a_class_of_another_that_is_recognised_is_said(tmp_path: Path) -> None:
    class Ours(models.SqueezeNet):
        pass

    net = squeezenet()
    net.__class__ = Ours
    Ours.__module__, Ours.__qualname__ = __name__, "Ours"
    globals()["Ours"] = Ours
    try:
        file = saved(nn.DataParallel(net), tmp_path)
    finally:
        del globals()["Ours"]
    notes = load_model(file).notes
    assert notes[-1] == (
        f"The file names the class {__name__}.Ours; torchvision's squeezenet1_1, which has the "
        "same weights, stands in for it."
    )


def test_other_modules_around_known_weights_are_told(tmp_path: Path) -> None:
    net = squeezenet()
    net.features[1] = nn.LeakyReLU()
    file = saved(net, tmp_path)
    differ = "features.1 is LeakyReLU in the file, ReLU in torchvision's"
    assert refusal(load_model, file) == (
        "m.pth has the weights of torchvision's squeezenet1_1, but another network around them: "
        f"{differ}. {OWN}"
    )
    assert load_model(file, arch="torchvision:squeezenet1_1").notes == (
        f"The file's own modules differ from squeezenet1_1: {differ}.",
    )


def test_nothing_that_is_known_is_told_with_the_nearest(tmp_path: Path) -> None:
    weights = dict(squeezenet().state_dict())
    del weights["features.0.bias"]
    close = (
        "the nearest architecture is torchvision's squeezenet1_1, which shares 51 of its 52 "
        "entries: features.0.bias is missing"
    )
    assert refusal(load_model, saved(weights, tmp_path)) == (
        f"m.pth holds no network that reportgen knows; {close}. {OWN}"
    )
    net = squeezenet()
    net.features[0] = nn.Conv2d(3, 64, 3, stride=2, bias=False)
    net.__class__ = type("Mine", (models.SqueezeNet,), {"__module__": __name__})
    globals()["Mine"] = type(net)
    try:
        whole = saved(net, tmp_path)
        far = saved(UserPart(), tmp_path, "far.pth")
    finally:
        del globals()["Mine"]
    assert refusal(load_model, whole) == (
        f"m.pth holds a network of the class {__name__}.Mine, which needs its Python code: --arch "
        f"FILE.py:Mine ({close})."
    )
    assert refusal(load_model, far) == (
        f"far.pth holds a network of the class {__name__}.UserPart, which needs its Python code: "
        "--arch FILE.py:UserPart."
    )


def test_what_torchvision_has_in_another_form_needs_no_code_of_its_own(tmp_path: Path) -> None:
    net = squeezenet()
    net.features[0] = nn.Conv2d(3, 64, 3, stride=2, bias=False)
    message = refusal(load_model, saved(net, tmp_path))
    assert message.startswith("m.pth holds no network that reportgen knows; the nearest ")
    assert message.endswith(f"entries: features.0.bias is missing. {OWN}")


def test_a_description_that_is_not_believed_is_told_beside_the_rest(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text('{"format": "reportgen-pruned", "version": 2}')
    problem = description(tmp_path / "m.pth", "", None).problem
    assert problem.startswith("m.json is of version 2")
    bare = saved({"w": torch.ones(2, 3)}, tmp_path)
    assert refusal(load_model, bare).endswith(f". {OWN} {problem}")
    assert load_model(saved(squeezenet().state_dict(), tmp_path)).notes == (problem,)


class UserPart(nn.Linear):
    """Of no known network."""

    def __init__(self) -> None:
        super().__init__(2, 3)


def test_several_that_fit_are_named(tmp_path: Path) -> None:
    name = "fasterrcnn_mobilenet_v3_large_fpn"
    net = models.get_model(name, weights=None, weights_backbone=None, num_classes=3)
    assert refusal(load_model, saved(net.state_dict(), tmp_path)) == (
        "m.pth fits several architectures (fasterrcnn_mobilenet_v3_large_320_fpn, "
        "fasterrcnn_mobilenet_v3_large_fpn); say which with --arch "
        "torchvision:fasterrcnn_mobilenet_v3_large_320_fpn."
    )


@pytest.mark.filterwarnings("ignore")
def test_a_script_of_torchvisions_own_class_says_nothing_of_it(tmp_path: Path) -> None:
    torch.jit.script(squeezenet()).save(tmp_path / "script.pt")
    loaded = load_model(tmp_path / "script.pt")
    assert (loaded.architecture, loaded.format) == ("squeezenet1_1", "TorchScript")
    assert not any("class" in note for note in loaded.notes)


def test_modules_of_a_file_lose_the_prefix_of_their_weights() -> None:
    paths = ("", "module", "module.head", "other")
    modules = {path: SavedModule(f"net.{path}", {}, True, False) for path in paths}
    weight = torch.ones(2)

    def found(old: str, new: str) -> dict[str, str]:
        checkpoint: Any = SimpleNamespace(
            tensors={"x": torch.ones(2), old: weight}, modules=modules
        )
        return {path: kept.name for path, kept in own_modules(checkpoint, {new: weight}).items()}

    assert found("module.head.weight", "head.weight") == {
        "": "net.module",
        "head": "net.module.head",
    }
    assert found("head.weight", "head.weight") == {path: f"net.{path}" for path in paths}
    assert found("norm.1.weight", "norm1.weight") == {}
