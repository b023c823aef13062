"""A small network and images that carry what no report may repeat, for builds in real processes."""

import io
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, PngImagePlugin

SIZE = (40, 48)

NETWORK = '''
import torch
from torch import nn


class Net(nn.Module):
    """Branches, sums, batch norms, two poolings: a little of what every section looks at."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 5, padding=2), nn.BatchNorm2d(16), nn.ReLU())
        self.pool = nn.MaxPool2d(2)
        self.left = nn.Conv2d(16, 24, 3, padding=1)
        self.right = nn.Conv2d(16, 24, 1)
        self.relu = nn.ReLU()
        self.top = nn.Conv2d(24, 32, 3, stride=2, padding=1)
        self.head = nn.Linear(32, 3)

    def forward(self, x):
        x = self.pool(self.stem(x))
        x = self.relu(self.left(x) + self.right(x))
        x = torch.relu(self.top(x))
        return self.head(x.mean(dim=(2, 3)))
'''

CANARIES: Mapping[str, str] = {
    "exif text": "Zanzibar-Exif-7",
    "camera": "Quokkacam-Exif-8",
    "taken": "1987:03:21 04:05:06",
    "png text": "Umbrella-Png-9",
    "compressed png text": "Wombat-zTXt-10",
    "xmp": "Narwhal-Xmp-11",
    "jpeg comment": "Pangolin-Comment-12",
    "checkpoint path": "/mnt/Axolotl-Disk-13/runs",
    "checkpoint name": "Tardigrade-Run-14",
    "after the picture": "Capybara-Trailer-15",
}
"What the files hold besides pixels and weights."

GPS = {1: "S", 2: (37.0, 48.0, 49.5), 3: "E", 4: (144.0, 57.0, 47.25)}


@dataclass(frozen=True)
class Sources:
    """Where the files of one build lie."""

    model: Path
    code: Path
    labels: Path
    photos: Path


def made_sources(folder: Path, photos: str, *, backwards: bool = False) -> Sources:
    """The same bytes each time under `folder`; `backwards` makes them the other way round."""
    folder.mkdir(parents=True)
    (folder / "net.py").write_text(NETWORK, encoding="utf-8")
    (folder / "labels.txt").write_text("owl\nbär\n猫\n", encoding="utf-8")
    space: dict[str, type] = {}
    exec(NETWORK, space)
    torch.manual_seed(3)
    net = space["Net"]().eval()
    with torch.no_grad():
        net.stem[0].bias[2:5] = -9.0
        net.top.weight[5] = net.top.weight[6]
    torch.save(
        {
            "state_dict": net.state_dict(),
            "args": {"dirpath": CANARIES["checkpoint path"], "run": CANARIES["checkpoint name"]},
            "hyper_parameters": {"default_root_dir": CANARIES["checkpoint path"]},
        },
        folder / "model.ckpt",
    )
    names = [f"{kind}/{kind} {n}.{end}" for kind in ("owl", "bär") for n, end in PHOTOS]
    names.append("owl/broken.png")
    for name in reversed(names) if backwards else names:
        place = folder / photos / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(photo(name))
    return Sources(folder / "model.ckpt", folder / "net.py", folder / "labels.txt", folder / photos)


PHOTOS = ((2, "jpg"), (10, "png"), (1, "webp"))


def photo(name: str) -> bytes:
    """A picture of its name, and words beside the pixels wherever its format has room for some."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    rows, columns = np.mgrid[0:44, 0:56] / 8
    waves = np.stack([np.sin(rows * rng.random() * 3 + columns * k) for k in rng.random(3)], -1)
    picture = Image.fromarray((127 + 90 * waves + rng.normal(0, 9, waves.shape)).astype(np.uint8))
    buffer = io.BytesIO()
    if name.endswith("broken.png"):
        return b"\x89PNG\r\n\x1a\n" + CANARIES["png text"].encode()
    exif = Image.Exif()
    exif[0x010E], exif[0x0110] = CANARIES["exif text"], CANARIES["camera"]
    exif[0x0132], exif[0x0112] = CANARIES["taken"], 1
    exif.get_ifd(0x8825).update(GPS)
    xmp = f"<x:xmpmeta>{CANARIES['xmp']}</x:xmpmeta>".encode()
    if name.endswith(".jpg"):
        comment = CANARIES["jpeg comment"].encode()
        picture.save(buffer, "JPEG", quality=95, exif=exif, comment=comment, xmp=xmp)
    elif name.endswith(".webp"):
        picture.save(buffer, "WEBP", lossless=True, exif=exif, xmp=xmp)
    else:
        texts = PngImagePlugin.PngInfo()
        texts.add_text("Comment", CANARIES["png text"])
        texts.add_text("Author", CANARIES["compressed png text"], zip=True)
        texts.add_itxt("XML:com.adobe.xmp", xmp.decode())
        picture.save(buffer, "PNG", exif=exif, pnginfo=texts)
    return buffer.getvalue() + CANARIES["after the picture"].encode()
