"""Every section on networks that are odd in ways of their own: right, or one clear sentence."""

import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
from PIL import Image as Picture
from torch import nn

from reportgen.analyses import ANALYSES
from reportgen.analyses.study import Analysis, Outcome, Study
from reportgen.analyses.subjects import image_records, layer_records, parameter_records
from reportgen.figures.press import Press
from reportgen.load.images import image_set
from reportgen.load.model import LoadedModel
from reportgen.making import _outcomes
from reportgen.options import Options
from reportgen.probe.probe import Probe
from reportgen.progress import Progress
from reportgen.report.records import Preprocessing
from tests.conftest import left_with
from tests.probe.nets import seeded
from tests.probe.transformers import Vit
from tests.test_contract import state_of

SIZE = (24, 36)
LABELS = ("cat", "dog", "owl")
RIGHT = ("gradcam", "gradient_flow", "occlusion", "activations", "answers")
"Sections that have something to show for every network here."

SOURCE = '''
import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    """Two convolutions, norms and ReLUs, a pooling, a linear head: written in several ways."""

    def __init__(self, style="module", outputs="scores"):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, stride=2, padding=1)
        self.bn1 = nn.BatchNorm2d(6)
        self.relu1 = nn.ReLU(inplace=style in ("in place", "reused in place"))
        self.pool = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(6, 8, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(8)
        self.relu2 = self.relu1 if style.startswith("reused") else nn.ReLU(style == "in place")
        self.fc = nn.Linear(8, 3)
        self.style, self.outputs = style, outputs

    def forward(self, x):
        if self.style == "function":
            x = self.pool(F.relu(self.bn1(self.conv1(x))))
            x = torch.relu(self.bn2(self.conv2(x)))
        elif self.style == "function in place":
            x = self.pool(F.relu_(self.bn1(self.conv1(x))))
            x = self.bn2(self.conv2(x)).relu_()
        else:
            x = self.pool(self.relu1(self.bn1(self.conv1(x))))
            x = self.relu2(self.bn2(self.conv2(x)))
        scores = self.fc(x.mean((2, 3)))
        if self.outputs == "tuple":
            return scores, x
        if self.outputs == "dict":
            return {"features": x, "logits": scores}
        return scores


def plain():
    return Net()


def named_outputs():
    return Net(outputs="dict")


def in_place():
    return Net("in place").requires_grad_(False).train()
'''
CODE: dict[str, Any] = {"__name__": "odd"}
exec(SOURCE, CODE)
Net: Callable[..., nn.Module] = CODE["Net"]


def net_with(**ways: str) -> nn.Module:
    """The same weights each time, with norms far from the identity and images told apart."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        net = Net(**ways)
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
                nn.init.normal_(module.weight, 1, 0.3)
                nn.init.normal_(module.bias)
    return net.eval()


def mixed() -> nn.Module:
    """Some modules in training mode: their batch statistics must neither be used nor change."""
    net = net_with()
    net.train()
    net.bn2.eval()  # type: ignore[operator, union-attr]
    return net


def vision_transformer() -> nn.Module:
    """Three tokens that stand for no place, in front of 4 x 6 patches; no ReLU."""
    net = Vit()
    net.patches = nn.Conv2d(3, 12, 6, stride=6)
    net.head = nn.Linear(12, 3)
    return seeded(lambda: net).float()


NETWORKS: Mapping[str, Callable[[], nn.Module]] = {
    "plain": net_with,
    "in place": lambda: net_with(style="in place"),
    "reused": lambda: net_with(style="reused"),
    "reused in place": lambda: net_with(style="reused in place"),
    "function": lambda: net_with(style="function"),
    "function in place": lambda: net_with(style="function in place"),
    "frozen": lambda: net_with().requires_grad_(False),
    "train and eval": mixed,
    "tuple": lambda: net_with(outputs="tuple"),
    "dict": lambda: net_with(outputs="dict"),
    "half": lambda: net_with().half(),
    "vision transformer": vision_transformer,
}
EQUAL = tuple(name for name in NETWORKS if name not in ("plain", "half", "vision transformer"))

AS_PLAIN = {
    "reused": {"relu1-2": "relu2", "relu1#2": "relu2"},
    "function": {
        "F.relu-2": "relu2", "F.relu#2": "relu2", "F.relu": "relu1",
    },
}  # fmt: skip
"What the calls of the plain network are called, the longest names first."


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three coarse, seeded pictures, wider than high."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(1)
    for index in range(3):
        noise = rng.integers(0, 255, (SIZE[0] // 4, SIZE[1] // 4, 3), dtype=np.uint8)
        large = Picture.fromarray(noise).resize((SIZE[1] * 2, SIZE[0] * 2))
        large.save(folder / f"photo{index}.png")
    return folder


Made: TypeAlias = Callable[[str], tuple[Mapping[str, Outcome | str], bool]]


@pytest.fixture(scope="module")
def made_for(photos: Path) -> Made:
    """What all sections say of a network, made once."""
    return functools.cache(lambda name: outcomes_of(name, photos))


def outcomes_of(name: str, photos: Path) -> tuple[Mapping[str, Outcome | str], bool]:
    """What all sections say of one network, and whether it was given back as it was."""
    module = NETWORKS[name]()
    before = state_of(module)
    prepared = Preprocessing(
        *SIZE, None, "bilinear", (0.5,) * 3, (0.25,) * 3, 3, "stated by flag", False
    )
    images = image_set((photos,), prepared)
    probe = Probe(module, "cpu", 2)
    evidence = probe.collect(images.batches, 3, (0, 2))
    study = Study(
        options=Options(Path("model.pth"), (photos,), visualise=1),
        loaded=LoadedModel(
            module, "model.pth", "0" * 64, "net", "flag", "state_dict", "float32", None,
            (), "", 3, None, (),
        ),
        images=images,
        evidence=evidence,
        probe=probe,
        layer_records=layer_records(evidence),
        image_records=image_records(images, evidence, LABELS, [1, None, None], (0, 2)),
        parameter_records=parameter_records(module),
        labels=LABELS,
    )  # fmt: skip
    made = _outcomes(ANALYSES, study, Progress(quiet=True), Press(0).order)
    return made, state_of(module) == before


def numbers_of(name: str, outcome: Outcome) -> dict[tuple[str, str], Any]:
    """All facts that are numbers, and all arrays, under the names of the plain network."""
    style = next((style for style in AS_PLAIN if name.startswith(style)), "")

    def plain_name(text: str) -> str:
        for own, plain in AS_PLAIN.get(style, {}).items():
            text = text.replace(own, plain)
        return text

    found: dict[tuple[str, str], Any] = {}
    for subject, panel in outcome.panels.items():
        for key, fact in panel.facts.items():
            items = fact if isinstance(fact, tuple) else (fact,)
            if not any(isinstance(item, str) for item in items):
                found[plain_name(subject), plain_name(key)] = np.array(fact, dtype=float)
        for key, array in panel.arrays.items():
            found[plain_name(subject), plain_name(key)] = array
    return found


@pytest.fixture(params=ANALYSES, ids=lambda analysis: analysis.name)
def section(request: pytest.FixtureRequest) -> Analysis:
    found: Analysis = request.param
    return found


@pytest.mark.parametrize("name", NETWORKS)
def test_a_section_is_made_or_says_in_a_sentence_why_not(
    name: str, section: Analysis, made_for: Made
) -> None:
    made, is_as_found = made_for(name)
    assert is_as_found, "weights, modes, hooks, gradients and random state"
    outcome = made[section.name]
    if isinstance(outcome, str):
        assert outcome.endswith(".") and "\n" not in outcome and section.name not in RIGHT
        return
    problems = [str(panel.facts.get("problem") or "") for panel in outcome.panels.values()]
    assert all(problem == "" or problem.endswith(".") for problem in problems)
    if section.name in RIGHT:
        assert outcome.panels and not any(problems)


@pytest.mark.parametrize("name", EQUAL)
def test_networks_that_compute_the_same_have_the_same_numbers(
    name: str, section: Analysis, made_for: Made
) -> None:
    expected, found = (made_for(which)[0][section.name] for which in ("plain", name))
    assert isinstance(expected, Outcome) and isinstance(found, Outcome)
    one, other = numbers_of("plain", expected), numbers_of(name, found)
    if name in ("tuple", "dict"):
        # Whoever takes the features from such a network needs all of them: fewer units can go.
        one, other = (
            {key: value for key, value in numbers.items() if not key[1].startswith("plan_")}
            for numbers in (one, other)
        )
    assert one.keys() == other.keys()
    for key, value in one.items():
        np.testing.assert_array_equal(other[key], value, err_msg=str(key))
    kinds = [[finding.kind for finding in outcome.findings] for outcome in (expected, found)]
    assert kinds[0] == kinds[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network's code and its weights, once as they are in half precision, once widened."""
    folder = tmp_path_factory.mktemp("odd")
    (folder / "net.py").write_text(SOURCE)
    half = {
        key: value.half() if value.is_floating_point() else value
        for key, value in net_with().state_dict().items()
    }
    wide = {key: v.float() if v.is_floating_point() else v for key, v in half.items()}
    torch.save(half, folder / "half.pth")
    torch.save(wide, folder / "wide.pth")
    return folder


def built(folder: Path, photos: Path, weights: str, factory: str) -> Any:
    """Images, layers, findings and arrays of a report made by the whole command."""
    out = folder / f"{weights}-{factory}"
    words = ("build", folder / f"{weights}.pth", photos, "--arch", f"{folder}/net.py:{factory}")
    size = ("--input-size", *SIZE, "--mean", 0.5, 0.5, 0.5, "--std", 0.25, 0.25, 0.25)
    # Pictures made by optimisation have tests of their own, and take most of the time.
    assert left_with(*words, *size, "-q", "--max-images", 1, "--visualise", 0, "-o", out) == 0
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert [section for section in report["sections"] if section["problem"]] == []
    arrays = {
        # As text, for NaN is not equal to itself.
        path.name: {name: str(array.tolist()) for name, array in np.load(path).items()}
        for path in sorted((out / "arrays").glob("*.npz"))
    }
    return [{key: report[key] for key in ("images", "layers", "findings")}, arrays]


@pytest.mark.slow
def test_the_whole_command_gives_the_same_report(folder: Path, photos: Path) -> None:
    plain = built(folder, photos, "wide", "Net")
    assert built(folder, photos, "half", "in_place") == plain
    named = built(folder, photos, "half", "named_outputs")
    for report, _ in (plain, named):
        # Its features are an output as well, so that fewer units can go.
        report["findings"] = [one for one in report["findings"] if one["kind"] != "prunable"]
    assert named == plain
