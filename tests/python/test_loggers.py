"""What is logged: the report's numbers, histograms and pictures, read back as the services do."""

import io
import json
import math
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import reportgen
from reportgen.errors import OptionError
from reportgen.loggers.entries import Distribution, Picture, Scalar, entries
from tests.conftest import LENET_WORDS, left_with
from tests.python.networks import pixels


def named(report: reportgen.Report, kind: type) -> dict[str, Any]:
    return {entry.name: entry for entry in entries(report.record) if isinstance(entry, kind)}


def test_the_names_are_the_documented_ones(report: reportgen.Report) -> None:
    scalars, pictures = named(report, Scalar), named(report, Picture)
    assert scalars["reportgen/summary/accuracy"].value == pytest.approx(report.accuracy)
    dead = report.layers["relu"].dead
    assert scalars["reportgen/layers/relu/dead"].value == pytest.approx(len(dead or ()) / 5)
    assert "reportgen/layers/conv1/dead" not in scalars
    weight = next(p for p in report.record.parameters if p.name == "conv1.weight")
    for name in ("mean", "std", "norm"):
        value = scalars[f"reportgen/parameters/conv1.weight/{name}"].value
        assert value == pytest.approx(getattr(weight, name))
    assert all(math.isfinite(scalar.value) for scalar in scalars.values())
    assert set(named(report, Distribution)) >= {
        "reportgen/parameters/conv1.weight",
        "reportgen/layers/relu#2/activations",
    }
    assert {name for name in pictures if "/images/image-0/" in name} == {
        "reportgen/images/image-0/seen",
        "reportgen/images/image-0/occlusion/probability",
        "reportgen/images/image-0/occlusion/logit",
    }
    assert {"reportgen/layers/conv1/kernels", "reportgen/layers/relu/maps"} <= set(pictures)
    seen = np.asarray(Image.open(io.BytesIO(pictures["reportgen/images/image-0/seen"].content)))
    wanted = (pixels(5)[0].permute(1, 2, 0) * 255).round().numpy()
    np.testing.assert_array_equal(seen, wanted)
    for picture in pictures.values():
        assert Image.open(io.BytesIO(picture.content)).size == (picture.width, picture.height)


@pytest.mark.parametrize("spec", [None, ModuleSpec("wandb", None)], ids=["none", "left folder"])
def test_a_service_that_is_not_installed(
    spec: ModuleSpec | None,
    report: reportgen.Report,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("reportgen.loggers.find_spec", lambda name: spec)
    with pytest.raises(OptionError) as problem:
        report.log("wandb")
    assert str(problem.value) == (
        "--log wandb needs the package wandb: pip install 'torch-reportgen[wandb]'."
    )


def test_it_is_refused_before_anything_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("reportgen.loggers.find_spec", lambda name: None)
    words = ("build", tmp_path / "none.pth", tmp_path, "--log", "tensorboard")
    assert left_with(*words, "-o", tmp_path / "out") == 2
    assert "--log tensorboard needs the package tensorboard" in capsys.readouterr().err
    assert left_with(*words[:-1], "tensorbaord") == 2
    assert "Did you mean tensorboard?" in capsys.readouterr().err


def test_a_service_that_fails_does_not_hide_where_the_report_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise OptionError("--log wandb: you are not logged in.")

    monkeypatch.setattr("reportgen.pipeline.log_report", refuse)
    words = (*LENET_WORDS, "--sections", "answers", "-q", "-o", tmp_path / "out")
    assert left_with(*words) == 2
    told = capsys.readouterr()
    assert told.out.endswith(f"{tmp_path / 'out'}\n") and "you are not logged in" in told.err


def test_importing_a_build_imports_no_service() -> None:
    code = (
        "import sys, reportgen.pipeline, reportgen.callback, reportgen.loggers.entries\n"
        "assert not {'wandb', 'tensorboard', 'lightning'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_tensorboard(
    report: reportgen.Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.chdir(tmp_path)
    report.log("tensorboard", step=3, name="my run/1")
    report.log("tensorboard", step=5, name="my run/1")
    everything = {"images": 0, "histograms": 0, "scalars": 0}
    events = EventAccumulator(str(tmp_path / "runs" / "my-run-1"), size_guidance=everything)
    events.Reload()
    tags = events.Tags()
    scalars, pictures = named(report, Scalar), named(report, Picture)
    histograms = named(report, Distribution)
    assert set(tags["scalars"]) == set(scalars)
    assert set(tags["images"]) == set(pictures)
    assert set(tags["histograms"]) == set(histograms)
    for name, scalar in scalars.items():
        read = events.Scalars(name)
        assert [event.step for event in read] == [3, 5]
        assert read[0].value == pytest.approx(scalar.value, rel=1e-6)
    for name, picture in pictures.items():
        image = events.Images(name)[0]
        assert (image.height, image.width) == (picture.height, picture.width)
        assert image.encoded_image_string == picture.content
    name = "reportgen/parameters/conv1.weight"
    own, read = histograms[name].histogram, events.Histograms(name)[0].histogram_value
    assert tuple(read.bucket) == own.counts
    assert (read.min, read.max, read.num) == pytest.approx((own.low, own.high, sum(own.counts)))
    assert read.bucket_limit[-1] == pytest.approx(own.high)


WANDB = """
import sys
import reportgen
report = reportgen.load(sys.argv[1])
report.log("wandb", step=4, name="while training")
report.log("wandb", step=6)
import wandb
assert wandb.run is not None  # open for the next step
wandb.finish()
report.log("wandb")
assert wandb.run is None
"""


@pytest.mark.slow
def test_wandb_offline_needs_no_account(report: reportgen.Report, tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    report.save(tmp_path / "report")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB")}
    given = {**kept, "WANDB_MODE": "offline", "WANDB_DIR": str(tmp_path), "HOME": str(tmp_path)}
    words = [sys.executable, "-c", WANDB, str(tmp_path / "report")]
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, env=given, cwd=Path(__file__).parents[2]
    )
    assert done.returncode == 0, done.stderr
    training, alone = sorted((tmp_path / "wandb").glob("offline-run-*"))
    for picture in named(report, Picture).values():
        media = (alone / "files" / "media" / "images").rglob(f"{Path(picture.name).name}_*.png")
        shown = [
            file
            for file in media
            if file.parent.as_posix().endswith(Path(picture.name).parent.as_posix())
        ]
        assert len(shown) == 1, picture.name
        wanted = np.asarray(Image.open(io.BytesIO(picture.content)))
        np.testing.assert_array_equal(np.asarray(Image.open(shown[0])), wanted)
    logged = list(_history(training))
    assert [float(row["reportgen/step"]) for row in logged] == [4, 6]
    for name, scalar in named(report, Scalar).items():
        assert float(logged[0][name]) == pytest.approx(scalar.value)


def _history(folder: Path) -> Any:
    """The rows that a run has kept on disk."""
    from wandb.proto import wandb_internal_pb2

    (file,) = folder.glob("*.wandb")
    for data in _records(file.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.WhichOneof("record_type") == "history":
            yield {
                "/".join(item.nested_key) or item.key: json.loads(item.value_json)
                for item in record.history.item
                if not item.value_json.startswith("{")
            }


def _records(content: bytes) -> Iterator[bytes]:
    """The records of a log in LevelDB's format, behind the seven bytes of W&B's own head."""
    block, head, place, found = 32_768, 7, 7, b""
    while place + head <= len(content):
        if block - place % block < head:  # what is left of a block holds no record
            place += block - place % block
            continue
        size, kind = struct.unpack("<HB", content[place + 4 : place + head])
        found += content[place + head : place + head + size]
        place += head + size
        if kind in (1, 4):  # whole, or the last part
            yield found
            found = b""
