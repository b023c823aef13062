"""Names written to run, on every page of a real report: each is shown as the text that it is."""

import html
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import reportgen
from tests.browser.payloads import ARMED, PAYLOADS
from tests.compare.conftest import NoPress
from tests.conftest import left_with
from tests.papers.latex_reader import table_in

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NETWORK = """
import json, pathlib
from torch import nn

NAMES = json.loads((pathlib.Path(__file__).parent / "names.json").read_text())

def boxed(root, name, leaf):
    *boxes, last = name.split(".")
    for box in boxes:
        if box not in root._modules:
            root.add_module(box, nn.Module())
        root = root._modules[box]
    root.add_module(last, leaf)
    return leaf

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 2, 3)
        self.order = [boxed(self, name, nn.ReLU() if at % 4 else nn.Conv2d(2, 2, 1))
                      for at, name in enumerate(NAMES)]
        self.last = nn.Linear(2, len(NAMES))

    def forward(self, x):
        x = self.first(x)
        for layer in self.order:
            x = layer(x)
        return self.last(x.mean((2, 3)))

"""
SECTIONS = "answers,overview,architecture,activations,kernels,weights,dead_filters,redundancy"


def file_name(payload: str) -> str:
    return payload.replace("/", "⁄")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two reports beside their comparison, one in a single file, and the files for a paper."""
    root = tmp_path_factory.mktemp("payloads")
    code = root / f"net {file_name(PAYLOADS[6])}.py"
    labels = root / f"labels {file_name(PAYLOADS[7])}.json"
    weights = root / f"{file_name(PAYLOADS[1])}.pth"
    code.write_text(NETWORK, encoding="utf-8")
    labels.write_text(json.dumps(PAYLOADS), encoding="utf-8")
    (root / "names.json").write_text(json.dumps(PAYLOADS), encoding="utf-8")
    rng = np.random.default_rng(1)
    for payload in PAYLOADS:
        # A `/` in a name parts folders: the path is the payload again.
        place = root / "photos" / f"{payload}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (12, 14), dtype=np.uint8)).save(place)
    (root / "photos" / f"broken {file_name(PAYLOADS[5])}.png").write_bytes(b"\x89PNG no more")
    space: dict[str, object] = {"__file__": str(code)}
    exec(NETWORK, space)
    for seed, out in enumerate(("a", "b")):
        torch.manual_seed(seed)
        torch.save({PAYLOADS[0]: space["Net"]().state_dict()}, weights)  # type: ignore[operator]
        words = ["build", weights, root / "photos", "--arch", f"{code}:Net"]
        words += ["--labels", labels, "--weights-key", PAYLOADS[0], "--title", " ".join(PAYLOADS)]
        words += ["--input-size", 12, 14, "--mean", 0.5, "--std", 0.25, "--sections", SECTIONS]
        words += ["--max-images", len(PAYLOADS), "-q", "-o", root / out]
        if out == "a":
            words += ["--single-file", root / "single.html", "--summary-file", root / "summary.md"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("reportgen.pipeline.Press", NoPress)
            assert left_with(*words) == 0
    assert (
        left_with("compare", root / "a", root / "b", "-o", root / "changes", "--title", PAYLOADS[3])
        == 0
    )
    only = ("--only", "*-weights-histograms", "--only", "overview-curves")
    assert left_with("figures", root / "a", "-o", root / "figures", "--formats", "svg", *only) == 0
    return root


def shown(browser, addresses, check, *, bypass=False):
    """What pages complain of: dialogs, errors, refusals of the policy; `check` sees each page."""
    complaints: list[str] = []
    context = browser.new_context(bypass_csp=bypass, offline=True)
    page = context.new_page()
    page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text))
    for address in addresses:
        page.goto(address)
        check(page, address)
    context.close()
    return complaints


def unarmed(page, address):
    assert page.locator(ARMED).count() == 0, address


def pages_of(folder: Path) -> list[str]:
    return [place.as_uri() for place in sorted(folder.rglob("*.html"))]


@pytest.mark.parametrize(("folder", "bypass"), [("a", True), ("changes", True), ("changes", False)])
def test_no_payload_runs_or_becomes_an_element(browser, root, folder, bypass) -> None:
    """Even where the policy of the pages, which would stop it, is switched off."""
    addresses = pages_of(root / folder)
    assert len(addresses) > len(PAYLOADS)
    assert shown(browser, addresses, unarmed, bypass=bypass) == []


def test_the_single_file_shows_the_same(browser, root) -> None:
    titles = {}

    def check(page, address):
        page.wait_for_timeout(30)
        unarmed(page, address)
        titles[address] = page.locator("h1").first.text_content()

    paths = [place.relative_to(root / "a").as_posix() for place in (root / "a").rglob("*.html")]
    addresses = [f"{(root / 'single.html').as_uri()}?{path}" for path in paths]
    assert shown(browser, addresses, check, bypass=True) == []
    assert shown(browser, addresses[::9], check) == []
    assert {*PAYLOADS} <= {*titles.values()}, "layers"
    assert {f"{payload}.png" for payload in PAYLOADS} <= {*titles.values()}, "images"


def test_every_payload_is_text_where_it_is_a_name(browser, root) -> None:
    """Of each image and layer, in heading and title, and of each class, in the list of images."""
    headings, titles, texts = set(), set(), {}

    def check(page, address):
        unarmed(page, address)
        headings.add(page.locator("h1").first.text_content())
        titles.add(page.title())
        texts[address.rpartition("/a/")[2]] = page.evaluate("document.body.textContent")

    assert shown(browser, pages_of(root / "a"), check) == []
    assert {*PAYLOADS} <= headings
    assert {f"{payload}.png" for payload in PAYLOADS} <= headings
    everywhere = "\n".join(texts.values())
    for payload in PAYLOADS:
        assert payload in texts["layers/index.html"] and payload in texts["images/index.html"]
        assert f"{payload}.png" in texts["index.html"]
    for payload in PAYLOADS[::4]:
        assert f"{payload}.weight" in texts["weights.html"], "a key of the state_dict"
    assert " ".join(PAYLOADS) in texts["index.html"], "the title"
    for name in (file_name(PAYLOADS[1]), file_name(PAYLOADS[6]), file_name(PAYLOADS[7])):
        assert name in texts["about.html"]
    assert f"broken {file_name(PAYLOADS[5])}.png" in everywhere


def test_a_drawing_opened_by_itself_runs_nothing(browser, root) -> None:
    """It has no policy, and may hold scripts: only its text may come from outside."""
    drawings = [*(root / "a").rglob("*.svg"), *(root / "figures").rglob("*.svg")]
    assert len(drawings) > 10
    assert shown(browser, [one.as_uri() for one in drawings], unarmed) == []


def test_a_notebook_shows_text(browser, root) -> None:
    page = root / "notebook.html"
    text = reportgen.load(root / "a")._repr_html_()
    page.write_text(f"<!doctype html><meta charset=utf-8>{text}", encoding="utf-8")
    found = []

    def check(page, address):
        unarmed(page, address)
        found.append(page.evaluate("document.body.textContent"))

    assert shown(browser, [page.as_uri()], check) == []
    assert sum(f"{payload}.png" in found[0] for payload in PAYLOADS) >= 10


def test_files_for_a_paper_hold_text(root) -> None:
    table = (root / "figures" / "tables" / "architecture.tex").read_text(encoding="utf-8")
    names = {row[0] for row in table_in(table).rows}
    assert {plain(payload) for payload in PAYLOADS} <= names
    summary = (root / "summary.md").read_text(encoding="utf-8")
    assert "<script" not in summary and "<img" not in summary and html.escape("<") in summary


def plain(text: str) -> str:
    """As LaTeX prints it, with curly quotes and plain spaces."""
    return "".join("”" if c == '"' else " " if c.isspace() else c for c in text)
