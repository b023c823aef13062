import dataclasses
import hashlib
import importlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

SAMPLES = Path(__file__).parent.parent / "sample_models"


@pytest.fixture
def train(monkeypatch):
    monkeypatch.syspath_prepend(SAMPLES)
    return importlib.import_module("train")


@pytest.fixture
def networks(train):
    """The two sample networks with their shipped weights, loaded strictly."""
    both = {}
    for name, recipe in train.RECIPES.items():
        network = recipe.network()
        network.load_state_dict(torch.load(SAMPLES / f"{name}.pth", weights_only=True))
        both[name] = network.eval()
    return both


@pytest.fixture
def held_out(train):
    if not train.DATA.exists():
        pytest.skip("the Debian package dataset-fashion-mnist is not installed")
    return train.read_split(train.DATA, "t10k")


def test_sizes(networks):
    counts = {
        name: sum(parameter.numel() for parameter in network.parameters())
        for name, network in networks.items()
    }
    assert counts == {"lenet": 61_706, "small_resnet": 173_842}


def test_the_resnet_reuses_its_in_place_rectifiers(networks):
    calls = []
    for name, module in networks["small_resnet"].named_modules():
        if isinstance(module, torch.nn.ReLU):
            assert module.inplace
            module.register_forward_hook(lambda *_, name=name: calls.append(name))
    networks["small_resnet"](torch.zeros(1, 1, 28, 28))
    twice = ["layer1.relu", "layer2.relu", "layer3.relu"]
    assert calls == ["relu", *(name for name in twice for _ in range(2))]


def test_sample_images_are_nearly_all_answered_right(train, networks):
    files = sorted((SAMPLES / "fashion_mnist").glob("*/*.png"))
    index = {train.folder_name(label): place for place, label in enumerate(train.CLASSES)}
    truth = np.array([index[file.parent.name] for file in files])
    assert np.bincount(truth).tolist() == [2] * 10
    images = np.stack([np.asarray(Image.open(file)) for file in files])
    for network in networks.values():
        assert train.accuracy(network, images, truth) >= 0.9


def test_class_names_are_in_the_order_of_the_data(train):
    names = (SAMPLES / "fashion_mnist_labels.txt").read_text("utf-8").splitlines()
    assert tuple(names) == train.CLASSES


def test_sample_images_are_the_first_two_of_each_class(train, held_out):
    images, labels = held_out
    for index, label in enumerate(train.CLASSES):
        files = sorted((SAMPLES / "fashion_mnist" / train.folder_name(label)).iterdir())
        places = [place for place, answer in enumerate(labels) if answer == index][:2]
        assert [int(file.stem) for file in files] == places
        for file, place in zip(files, places, strict=True):
            np.testing.assert_array_equal(np.asarray(Image.open(file)), images[place])


@pytest.mark.slow
def test_both_networks_answer_90_percent_of_the_test_images_right(train, networks, held_out):
    for network in networks.values():
        assert train.accuracy(network, *held_out) >= 0.9


@pytest.mark.slow
def test_the_normalisation_is_that_of_the_training_images(train, held_out):
    images, _ = train.read_split(train.DATA, "train")
    assert round(float(images.mean() / 255), 4) == train.MEAN
    assert round(float(images.std() / 255), 4) == train.STD


def test_training_without_the_data_ends_in_one_sentence(train, tmp_path):
    with pytest.raises(SystemExit, match="install the Debian package dataset-fashion-mnist"):
        train.read_split(tmp_path, "train")


def test_checkpoints_along_one_training(train, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "CHECKPOINTS", (1, 2, 4))
    monkeypatch.setattr(train, "BATCH", 8)
    random = np.random.default_rng(3)
    images = random.integers(0, 256, (40, 28, 28), np.uint8)
    labels = random.integers(0, 10, 40).astype(np.uint8)
    paths = train.write_checkpoints("lenet", tmp_path / "new" / "folder", images, labels)
    assert [path.name for path in paths] == ["lenet-0001.pth", "lenet-0002.pth", "lenet-0004.pth"]
    states = [torch.load(path, weights_only=True) for path in paths]
    # The last one is where a training on as many images ends.
    recipe = dataclasses.replace(train.RECIPES["lenet"], epochs=1)
    trained = train.train(recipe, images[:32], labels[:32]).state_dict()
    assert all(torch.equal(states[-1][name], value) for name, value in trained.items())
    assert all(not torch.equal(a["conv1.weight"], b["conv1.weight"]) for a, b in pairwise(states))


def test_the_squeezenet_weights_are_the_documented_ones():
    digest = hashlib.sha256((SAMPLES / "squeezenet1_1.pth").read_bytes()).hexdigest()
    assert digest in (SAMPLES / "README.md").read_text("utf-8")
