"""Train the two sample networks on Fashion-MNIST, and write the 20 sample images.

    python sample_models/train.py            # everything, about ten minutes on one core
    python sample_models/train.py lenet      # one network
    python sample_models/train.py images     # the sample images and the class names
    python sample_models/train.py small_resnet --checkpoints FOLDER    # three, in under a minute

The data is the Debian package `dataset-fashion-mnist` (`apt install dataset-fashion-mnist`).
"""

import argparse
import gzip
import math
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from lenet import LeNet
from PIL import Image
from small_resnet import SmallResNet
from torch import nn
from torch.nn import functional as F

HERE = Path(__file__).parent
DATA = Path("/usr/share/datasets/fashion-mnist")
MEAN, STD = 0.2860, 0.3530
"Of the 60,000 training images, in [0, 1]."
CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
"In index order, as the data set's authors name them."
IMAGES_PER_CLASS = 2
CHECKPOINTS = (10, 60, 200)
"Steps of a short training after which a checkpoint is saved: hardly begun, under way, at its end."
BATCH = 128


@dataclass(frozen=True)
class Recipe:
    network: Callable[[], nn.Module]
    epochs: int
    learning_rate: float
    flips: bool
    label_smoothing: float


RECIPES = {
    "lenet": Recipe(LeNet, epochs=10, learning_rate=4e-3, flips=True, label_smoothing=0.0),
    "small_resnet": Recipe(
        SmallResNet, epochs=3, learning_rate=6e-3, flips=True, label_smoothing=0.05
    ),
}


def read_idx(path: Path) -> np.ndarray:
    """The uint8 array in a gzipped IDX file: (n) labels or (n h w) images."""
    raw = gzip.decompress(path.read_bytes())
    _, _, kind, rank = struct.unpack(">4B", raw[:4])
    if kind != 8:
        raise ValueError(f"{path.name} does not hold bytes")
    shape = struct.unpack(f">{rank}I", raw[4 : 4 + 4 * rank])
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(shape)


def read_split(folder: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images (n h w) and labels (n) of `train` or `t10k`."""
    images, labels = (
        folder / f"{split}-{part}-ubyte.gz" for part in ("images-idx3", "labels-idx1")
    )
    if not images.exists() or not labels.exists():
        sys.exit(
            f"Fashion-MNIST is not in {folder}: install the Debian package dataset-fashion-mnist "
            "(apt install dataset-fashion-mnist), or name its folder with --data."
        )
    return read_idx(images), read_idx(labels)


def as_input(images: np.ndarray) -> torch.Tensor:
    """(n h w) uint8 to normalised (n 1 h w) float32."""
    return (torch.from_numpy(images.copy()).unsqueeze(1).float() / 255 - MEAN) / STD


def accuracy(network: nn.Module, images: np.ndarray, labels: np.ndarray) -> float:
    """Share of images whose highest logit is the right class."""
    network.eval()
    with torch.inference_mode():
        answers = torch.cat([network(as_input(part)).argmax(1) for part in np.split(images, 20)])
    return float((answers.numpy() == labels).mean())


def train(
    recipe: Recipe,
    images: np.ndarray,
    labels: np.ndarray,
    seed: int = 0,
    watch: Callable[[int, nn.Module], None] | None = None,
) -> nn.Module:
    """A network trained with AdamW under a one-cycle schedule; `watch` is told of every step."""
    torch.manual_seed(seed)
    network = recipe.network().train()
    steps = math.ceil(len(images) / BATCH)
    optimiser = torch.optim.AdamW(network.parameters(), lr=recipe.learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.learning_rate, epochs=recipe.epochs, steps_per_epoch=steps
    )
    targets = torch.from_numpy(labels.astype(np.int64))
    for epoch in range(recipe.epochs):
        total = 0.0
        for step, batch in enumerate(torch.randperm(len(images)).split(BATCH), 1):
            inputs = as_input(images[batch.numpy()])
            if recipe.flips:
                flipped = torch.rand(len(inputs), 1, 1, 1) < 0.5
                inputs = torch.where(flipped, inputs.flip(3), inputs)
            loss = F.cross_entropy(
                network(inputs), targets[batch], label_smoothing=recipe.label_smoothing
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item() * len(batch)
            if watch is not None:
                watch(epoch * steps + step, network)
        print(f"  epoch {epoch + 1} of {recipe.epochs}: loss {total / len(images):.4f}", flush=True)
    return network


def write_checkpoints(
    name: str, folder: Path, images: np.ndarray, labels: np.ndarray
) -> tuple[Path, ...]:
    """Three checkpoints along one short training, `<name>-0010.pth` and so on, in their order."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []

    def save(step: int, network: nn.Module) -> None:
        if step in CHECKPOINTS:
            written.append(folder / f"{name}-{step:04d}.pth")
            torch.save(network.state_dict(), written[-1])

    seen = CHECKPOINTS[-1] * BATCH
    train(replace(RECIPES[name], epochs=1), images[:seen], labels[:seen], watch=save)
    return tuple(written)


def folder_name(label: str) -> str:
    """`T-shirt/top` as a folder: `t-shirt top`."""
    return label.lower().replace("/", " ")


def write_images(images: np.ndarray, labels: np.ndarray) -> None:
    """The first two test images of each class, in the order of the test file, and the class names.

    Nothing is picked by hand; a file is named after its place in the test file.
    """
    for index, label in enumerate(CLASSES):
        folder = HERE / "fashion_mnist" / folder_name(label)
        folder.mkdir(parents=True, exist_ok=True)
        for place in np.flatnonzero(labels == index)[:IMAGES_PER_CLASS]:
            Image.fromarray(images[place]).save(folder / f"{place:05d}.png", optimize=True)
    (HERE / "fashion_mnist_labels.txt").write_text("\n".join(CLASSES) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", help=f"{', '.join(RECIPES)} or images; default all")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the .gz files")
    parser.add_argument(
        "--checkpoints",
        type=Path,
        metavar="FOLDER",
        help="save three checkpoints of a short training here, and nothing else",
    )
    arguments = parser.parse_args()
    wanted = arguments.what or ["images", *RECIPES]
    unknown = sorted(set(wanted) - {"images", *RECIPES})
    if unknown:
        parser.error(f"nothing is called {unknown[0]}: choose from {', '.join(RECIPES)}, images")
    test_images, test_labels = read_split(arguments.data, "t10k")
    if arguments.checkpoints is not None:
        data = read_split(arguments.data, "train")
        for name in (name for name in RECIPES if name in wanted):
            for path in write_checkpoints(name, arguments.checkpoints, *data):
                network = RECIPES[name].network()
                network.load_state_dict(torch.load(path, weights_only=True))
                share = accuracy(network, test_images[:2000], test_labels[:2000])
                print(f"{path}: {share:.1%} of the first 2,000 test images are right", flush=True)
        return
    if "images" in wanted:
        write_images(test_images, test_labels)
        print(f"fashion_mnist: {IMAGES_PER_CLASS * len(CLASSES)} images")
    for name in (name for name in RECIPES if name in wanted):
        print(f"{name}: training on 60,000 images", flush=True)
        network = train(RECIPES[name], *read_split(arguments.data, "train"))
        torch.save(network.state_dict(), HERE / f"{name}.pth")
        share = accuracy(network, test_images, test_labels)
        print(f"{name}: {share:.2%} of the 10,000 test images are right", flush=True)


if __name__ == "__main__":
    main()
