"""Reports while a network is trained: the training is bit for bit what it is without them."""

import json
import random
import sys
import types
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from reportgen.callback import ReportCallback, ReportWarning
from reportgen.errors import OptionError
from tests.conftest import left_with
from tests.python.networks import QUICK, normalised, pixels, small

FEW = {**QUICK, "sections": ["answers", "activations", "weights"], "max_images": 1}


def callback(output: Path, **changes: Any) -> ReportCallback:
    images = DataLoader(TensorDataset(pixels(), torch.arange(5) % 3), shuffle=True, batch_size=2)
    return ReportCallback(**{"images": images, "output": output, "every": 2, **FEW, **changes})


def trained(make: Any) -> dict[str, Any]:
    """Everything that a training leaves, with random numbers from three generators in it."""
    torch.manual_seed(3)
    random.seed(3)
    np.random.seed(3)
    net = small().train()
    net.bn.eval()
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    after_step = make()
    for step in range(5):
        noise = random.random() + float(np.random.rand())
        batch = normalised(pixels(4)) + noise * torch.randn(4, 1, 1, 1)
        F.cross_entropy(net(batch), torch.arange(4) % 3).backward()
        if step % 2:  # gradients of two batches are added up, so they must survive a report
            optimiser.step()
            optimiser.zero_grad()
        after_step(net, step)
    return {
        "weights": {name: value.clone() for name, value in net.state_dict().items()},
        "grads": [p.grad for p in net.parameters()],
        "optimiser": optimiser.state_dict(),
        "modes": [module.training for module in net.modules()],
        "drawn": [torch.rand(3), random.random(), np.random.rand()],
        "net": net,
    }


def test_a_training_goes_on_bit_for_bit(tmp_path: Path) -> None:
    made: list[ReportCallback] = []

    def with_reports() -> ReportCallback:
        made.append(callback(tmp_path / "reports"))
        return made[0]

    plain, watched = trained(lambda: lambda net, step: None), trained(with_reports)
    names = ["step-000000", "step-000002", "step-000004"]
    assert [folder.name for folder in made[0].saved] == names
    for key in ("weights", "grads", "optimiser", "modes", "drawn"):
        torch.testing.assert_close(watched[key], plain[key], rtol=0, atol=0, equal_nan=True)
    # The last report is of the network as it is now.
    record = json.loads((made[0].saved[-1] / "report.json").read_text())
    with torch.no_grad():
        scores = watched["net"].eval()(normalised(pixels()))
    # A loader that shuffles gives its images in the order that it drew.
    logits = [[p["logit"] for p in image["predictions"]] for image in record["images"]]
    wanted = sorted(sorted(row, reverse=True) for row in scores.tolist())
    np.testing.assert_allclose(sorted(logits), wanted, atol=1e-4)
    assert left_with("compare", *made[0].saved, "-o", tmp_path / "line") == 0
    comparison = json.loads((tmp_path / "line" / "compare.json").read_text())
    assert [subject["name"] for subject in comparison["subjects"]] == names
    assert len(comparison["timeline"]["accuracy"]) == 3
    assert comparison["timeline"]["step_change"][0] > 0


def test_epochs_and_a_network_inside_of_another(tmp_path: Path) -> None:
    net = nn.ModuleDict({"net": small(), "loss": nn.Linear(2, 2)})
    after = callback(tmp_path, every=3, network=lambda module: module["net"])  # type: ignore[index]
    assert after.on_epoch_end(net, 2) is None
    assert after.on_epoch_end(net, 3) == tmp_path / "epoch-000003"
    record = json.loads((tmp_path / "epoch-000003" / "report.json").read_text())
    assert record["title"] == "Small, epoch 3"


def test_each_report_is_logged_under_its_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[tuple[str, str, int | None]] = []
    monkeypatch.setattr(
        "reportgen.loggers.find_spec", lambda name: ModuleSpec(name, None, origin=name)
    )
    module = types.ModuleType("reportgen.loggers.tensorboard")
    module.log = lambda report, name, step: logged.append((report.title, name, step))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "reportgen.loggers.tensorboard", module)
    after = callback(tmp_path / "run", every=5, log="tensorboard")
    for step in (0, 3, 5):
        after(small(), step)
    assert logged == [("Small, step 0", "run", 0), ("Small, step 5", "run", 5)]


def test_a_report_that_fails_does_not_end_the_training(tmp_path: Path) -> None:
    after = callback(tmp_path / "reports", every=1)
    (tmp_path / "reports").write_text("a file is in the way")
    with pytest.warns(ReportWarning, match=r"There is no report of step 7: .* lies below a file"):
        assert after(small(), 7) is None
    assert after.saved == []


def test_a_service_that_fails_does_not_end_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OptionError("--log wandb: you are not logged in.")

    monkeypatch.setattr("reportgen.loggers.log_report", refuse)
    after = callback(tmp_path / "reports", every=1)
    with pytest.warns(ReportWarning, match=r"report of step 7 was not logged: --log wandb"):
        assert after(small(), 7) == tmp_path / "reports" / "step-000007"
    assert after.saved == [tmp_path / "reports" / "step-000007"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"every": 0}, "every is 0"),
        ({"unit": "batch"}, "unit is one of epoch, step"),
        ({"sectoins": ()}, "did you mean sections?"),
        ({"log": "tensorbord"}, "did you mean tensorboard?"),
        ({"images": 5}, "Images cannot be read"),
    ],
)
def test_what_makes_no_sense_is_said_before_the_training(
    tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(OptionError, match=sentence.replace("?", r"\?")):
        callback(tmp_path, **changes)


class Trainer:
    """As much of Lightning's as the hooks look at."""

    is_global_zero = True
    current_epoch = 0
    global_step = 4


def test_lightning_gets_a_callback_of_its_own_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Callback:
        def on_fit_start(self) -> str:
            return "theirs"

    module = types.ModuleType("lightning.pytorch")
    module.Callback = Callback  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "lightning.pytorch", module)
    monkeypatch.delitem(sys.modules, "pytorch_lightning", raising=False)
    after = callback(tmp_path, every=1)
    assert isinstance(after, Callback) and isinstance(after, ReportCallback)
    assert after.on_fit_start() == "theirs"
    after.on_train_batch_end(Trainer(), small(), None, None, 0)
    after.on_train_epoch_end(Trainer(), small())
    assert [folder.name for folder in after.saved] == ["epoch-000001"]
    other = callback(tmp_path, unit="step")
    for batch in (0, 1):
        other.on_train_batch_end(Trainer(), small(), None, None, batch)
    other.on_train_epoch_end(Trainer(), small())
    assert [folder.name for folder in other.saved] == ["step-000004"]
    aside = Trainer()
    aside.is_global_zero = False
    other.on_train_batch_end(aside, small(), None, None, 0)
    assert len(other.saved) == 1


def test_without_lightning_it_is_nobodys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("lightning.pytorch", "pytorch_lightning"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert type(callback(tmp_path)) is ReportCallback


def test_with_lightning_itself(tmp_path: Path) -> None:
    lightning = pytest.importorskip("lightning.pytorch")

    class Task(lightning.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.net = small()

        def forward(self, x: torch.Tensor) -> Any:
            return self.net(x)

        def training_step(self, batch: Any, _: int) -> torch.Tensor:
            return F.cross_entropy(self(normalised(batch[0])), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    after = callback(tmp_path / "reports")
    assert isinstance(after, lightning.Callback)
    trainer = lightning.Trainer(
        max_epochs=4,
        callbacks=[after],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
        default_root_dir=tmp_path,
    )
    trainer.fit(Task(), DataLoader(TensorDataset(pixels(), torch.arange(5) % 3), batch_size=2))
    assert [folder.name for folder in after.saved] == ["epoch-000002", "epoch-000004"]
