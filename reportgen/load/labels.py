"""Class names, and which class each image is said to be by its folder."""

import json
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from torchvision.models._meta import _IMAGENET_CATEGORIES

from reportgen.errors import OptionError
from reportgen.load.image_files import ImageFile
from reportgen.load.image_set import ImageSet
from reportgen.load.model import LoadedModel
from reportgen.options import Options

_MAX_BYTES = 16 * 2**20


def class_names(
    loaded: LoadedModel,
    images: ImageSet,
    options: Options,
    classes: int,
    given: tuple[str, ...] = (),
    *,
    is_of_one_class: bool = True,
) -> tuple[tuple[str, ...], str]:
    """One name for each of `classes` outputs, and where the names come from.

    Names `given` by a program, or `--labels`, over what is known with the weights over folder names
    over plain numbers. Folders and data sets name outputs only where each image is of one class.

    Raises:
        OptionError: if `--labels` cannot be read, or what is stated has another number of names.
    """
    if given or options.labels:
        names, source = (given, "stated") if given else _stated(options.labels)
        if len(names) != classes:
            what = "labels=" if given else f"--labels {options.labels}"
            raise OptionError(
                f"{what} has {len(names)} names, and the network has {classes} classes."
            )
        return names, source
    if len(loaded.labels) == classes:
        return loaded.labels, loaded.labels_source
    if not is_of_one_class:
        return _numbered(classes)
    if len(images.class_names) == classes:
        return images.class_names, "stated by the data set"
    # Sorted as torchvision's ImageFolder sorts, which is what numbered the classes in training.
    found = sorted({file.true_class for file in images.files if file.true_class is not None})
    if len(found) == classes:
        of = "names stated with the images" if images.is_stated else "folder names"
        return tuple(found), f"{of}, numbered in alphabetical order"
    return _numbered(classes)


def _numbered(classes: int) -> tuple[tuple[str, ...], str]:
    return tuple(f"class {index}" for index in range(classes)), "no names are known"


def _stated(labels: str) -> tuple[tuple[str, ...], str]:
    """The names that `--labels` gives, and their source in words."""
    if labels.lower() == "imagenet":
        return tuple(_IMAGENET_CATEGORIES), "ImageNet-1k, stated by flag"
    path = Path(labels)
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise OptionError(f"--labels {labels} is too large to be a list of class names.")
        text = path.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise OptionError(f"--labels {labels} cannot be read: {reason}.") from error
    names = _from_json(labels, text) if text[:1] in {"[", "{"} else text.splitlines()
    names = [name.strip() for name in names]
    if "" in names:
        raise OptionError(f"--labels {labels}: name {names.index('') + 1} is empty.")
    return tuple(names), f"{path.name}, stated by flag"


def _from_json(labels: str, text: str) -> list[str]:
    """Names in a JSON list, `{"0": "tench"}`, `{"0": ["n01440764", "tench"]}` or `{"tench": 0}`."""
    try:
        content = json.loads(text)
        if isinstance(content, list):
            by_index = dict(enumerate(content))
        elif all(isinstance(value, int) for value in content.values()):
            by_index = {index: name for name, index in content.items()}
        else:
            by_index = {int(index): name for index, name in content.items()}
        if len(by_index) != len(content):
            raise ValueError("an index occurs twice")
        names = [by_index[index] for index in range(len(by_index))]
    except (ValueError, KeyError, RecursionError) as error:
        raise OptionError(
            f"--labels {labels} is neither a JSON list of names "
            "nor an object from 0, 1, 2 ... to names."
        ) from error
    return [str(name[-1] if isinstance(name, list) and name else name) for name in names]


def true_indices(images: ImageSet, labels: Sequence[str]) -> tuple[int | None, ...]:
    """The class index that each image's folder names; None where it names none, or more than one.

    A folder names a class by its label, in any case and with any marks between the words, by its
    index, or, where the classes are ImageNet's, by its WordNet id such as `n01440764`. An index
    that a program states stands as it is. A data set of as many classes numbers them as the network
    does, unless each has the name of one of the network's.

    Raises:
        OptionError: if there is no class of that index.
    """
    for file in images.files:
        if (
            file.true_class is None
            and file.true_index is not None
            and not 0 <= file.true_index < len(labels)
        ):
            raise OptionError(
                f"{file.path} is said to be of class {file.true_index}, and the network has the "
                f"classes 0 to {len(labels) - 1}."
            )
    places: dict[str, list[int]] = {}
    for index, label in enumerate(labels):
        places.setdefault(_plain(label), []).append(index)
    if list(labels) == _IMAGENET_CATEGORIES:
        ids = resources.files("reportgen.load").joinpath("imagenet_synsets.txt").read_text("ascii")
        places |= {synset: [index] for index, synset in enumerate(ids.split())}
    own: Sequence[int] = ()
    if len(images.class_names) == len(labels):
        own = _own(images.class_names, labels, places)
        # Its names may be spelled in another way.
        places |= {_plain(n): [at] for n, at in zip(images.class_names, own, strict=True)}

    def of(file: ImageFile) -> int | None:
        if file.true_class is None:
            return file.true_index
        if own and file.true_index is not None:
            return own[file.true_index]
        return _index(file.true_class, places, len(labels))

    return tuple(map(of, images.files))


def _own(
    names: Sequence[str], labels: Sequence[str], places: Mapping[str, list[int]]
) -> Sequence[int]:
    """The network's index of each class of a data set that has as many."""
    exact = {label: index for index, label in enumerate(labels)}
    plain = {key: found[0] for key, found in places.items()}
    for by_name in ([exact.get(name) for name in names], [plain.get(_plain(n)) for n in names]):
        found = [index for index in by_name if index is not None]
        if len(set(found)) == len(labels):
            return found
    return range(len(labels))


def _index(folder: str, places: dict[str, list[int]], classes: int) -> int | None:
    """The one class that `folder` names."""
    named = places.get(_plain(folder), [])
    if named:
        return named[0] if len(named) == 1 else None
    if re.fullmatch("[0-9]{1,9}", folder) and int(folder) < classes:
        return int(folder)
    return None


def _plain(name: str) -> str:
    """`T-shirt/top` and `t_shirt top` alike; marks alone are kept as they are."""
    return " ".join(re.findall(r"[^\W_]+", name.casefold())) or name
