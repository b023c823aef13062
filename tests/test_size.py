"""What pages and reports of large networks weigh, on small networks of their widths and depths."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.models import resnet50

import reportgen
from reportgen.analyses.units import MANY_LAYERS, ROWS_OF_WIDE
from reportgen.report.blocks import MapStrip, Table
from tests.render.walk import Page


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for index in range(8):
        pixels = random.integers(0, 256, (32, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return folder


def test_a_page_of_2048_channels_and_eight_images_stays_under_a_thousand_nodes(
    photos: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    wide = [nn.Conv2d(3, 24, 3, 2), nn.ReLU(), nn.Conv2d(24, 2048, 3, 2), nn.ReLU()]
    net = nn.Sequential(*wide, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 10))
    reportgen.build(net, photos, input_size=(32, 40), exclude=("occlusion", "trust")).save(
        tmp_path / "r"
    )
    page = (tmp_path / "r/layers/3.html").read_text()
    found = Page("layers/3.html", page)
    assert 'class="grid units"' in page and page.count('<figure class="plate"') == 8
    assert len(found.tags) < 1000


def test_a_deep_network_gives_each_layer_less_and_says_so(photos: Path) -> None:
    torch.manual_seed(0)
    blocks = [
        part
        for _ in range(MANY_LAYERS // 3 + 1)
        for part in (nn.Conv2d(40, 40, 1), nn.BatchNorm2d(40), nn.ReLU())
    ]
    net = nn.Sequential(
        nn.Conv2d(3, 40, 3, 2), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(40, 5)
    )
    report = reportgen.build(
        net, photos, input_size=(32, 40), sections=("answers", "activations", "patches")
    ).record
    for layer in (layer for layer in report.layers if "activations" in layer.panels):
        table = layer.panels["activations"].blocks["statistics"]
        assert isinstance(table, Table)
        assert table.shown == ROWS_OF_WIDE and (len(table.rows) == 40 or layer.units != 40)
    seen = [layer for layer in report.layers if "patches" in layer.panels]
    kept = {layer.type for layer in seen if layer.panels["patches"].arrays}
    assert kept == {"ReLU"}
    strips = [image.panels["answers"].blocks["depth"] for image in report.images]
    counts = [len(strip.maps) for strip in strips if isinstance(strip, MapStrip)]
    assert counts[0] > 100 and counts[1:] == [48] * 7


@pytest.mark.slow
def test_a_report_of_resnet_50_with_eight_images_stays_under_20_mb(tmp_path: Path) -> None:
    """All sections but two that take minutes and 0.3 MB; half a megabyte is left for them."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for number, photo in enumerate(sorted(Path("sample_models/photos").iterdir())):
        picture = Image.open(photo).convert("RGB")
        picture.save(photos / f"{number}.png")
        if number < 2:
            width, height = picture.size
            picture.crop((width // 4, height // 4, width, height)).save(photos / f"{number}b.png")
    torch.manual_seed(0)
    made = reportgen.build(resnet50(), photos, exclude=("trust", "visualisation"))
    made.save(tmp_path / "report")
    files = [path for path in (tmp_path / "report").rglob("*") if path.is_file()]
    assert len(list((tmp_path / "report" / "images").glob("*.html"))) == 9
    assert sum(path.stat().st_size for path in files) < 19_500_000
    assert max(path.stat().st_size for path in files if path.suffix == ".html") < 100_000
