import json
from dataclasses import replace
from pathlib import Path

import pytest
from torch import nn
from torchvision.models import SqueezeNet1_1_Weights

from reportgen.errors import OptionError
from reportgen.load.image_set import ImageSet
from reportgen.load.images import ImageFile
from reportgen.load.labels import class_names, true_indices
from reportgen.load.model import LoadedModel
from reportgen.options import Options
from reportgen.report.records import Preprocessing

PREPROCESSING = Preprocessing(8, 8, 8, "bilinear", (0.5,), (0.5,), 1, "stated by flag", False)
LOADED = LoadedModel(
    module=nn.Identity(),
    file="net.pth",
    sha256="",
    architecture="net",
    architecture_source="",
    format="state_dict",
    dtype="float32",
    preprocessing=None,
    labels=(),
    labels_source="",
    in_channels=1,
    input_size=None,
    notes=(),
)


def images(*folders):
    files = tuple(
        ImageFile(Path("x.png"), f"{folder}/{index}.png", f"s{index}", "", 8, 8, folder, ())
        for index, folder in enumerate(folders)
    )
    return ImageSet(files, (), PREPROCESSING)


def options(labels=""):
    return Options(Path("net.pth"), (), labels=str(labels))


def names(classes, labels="", *, loaded=LOADED, folders=(None,), **further):
    return class_names(loaded, images(*folders), options(labels), classes, **further)


def test_a_text_file_has_one_name_a_line(tmp_path):
    (tmp_path / "names.txt").write_text("\ufefftench \ngreat white shark\r\ncafé\n\n", "utf-8")
    expected = ("tench", "great white shark", "café")
    assert names(3, tmp_path / "names.txt") == (expected, "names.txt, stated by flag")


@pytest.mark.parametrize(
    "content",
    [
        ["tench", "shark", "cock"],
        {"0": "tench", "2": "cock", "1": "shark"},
        {"2": ["n1", "cock"], "0": ["n2", "tench"], "1": ["n3", "shark"]},
        {"cock": 2, "shark": 1, "tench": 0},
    ],
)
def test_json_in_the_shapes_that_people_have(tmp_path, content):
    (tmp_path / "names.json").write_text(json.dumps(content))
    assert names(3, tmp_path / "names.json")[0] == ("tench", "shark", "cock")


def test_imagenet_names_by_word():
    given, source = names(1000, "imagenet")
    assert list(given) == SqueezeNet1_1_Weights.DEFAULT.meta["categories"]
    assert source == "ImageNet-1k, stated by flag"


def test_another_count_is_refused_with_both_numbers(tmp_path):
    with pytest.raises(OptionError, match="has 1000 names, and the network has 10 classes"):
        names(10, "imagenet")
    (tmp_path / "names.txt").write_text("a\nb\n")
    with pytest.raises(OptionError, match="has 2 names, and the network has 3 classes"):
        names(3, tmp_path / "names.txt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\n\nb\n", "name 2 is empty"),
        (b'{"0": "a", "2": "b"}', "neither a JSON list"),
        (b'{"a": 0, "b": 0}', "neither a JSON list"),
        (b'{"zero": "a"}', "neither a JSON list"),
        (b'["a", ', "neither a JSON list"),
        (b"\xff\xfe\x00", "not UTF-8"),
    ],
)
def test_files_that_hold_no_names(tmp_path, content, message):
    (tmp_path / "names").write_bytes(content)
    with pytest.raises(OptionError, match=message):
        names(3, tmp_path / "names")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(OptionError, match=r"nowhere\.txt cannot be read: No such file"):
        names(3, tmp_path / "nowhere.txt")


def test_a_file_too_large_for_names_is_not_read(tmp_path, monkeypatch):
    file = tmp_path / "names.txt"
    with file.open("wb") as stream:
        stream.write(b"a\nb\nc\n")
        stream.truncate(16 * 2**20 + 1)
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: pytest.fail("it was read"))
    with pytest.raises(OptionError, match=r"names\.txt is too large to be a list of class names"):
        names(3, file)


def test_the_order_of_sources():
    known = replace(LOADED, labels=("x", "y"), labels_source="known with the weights")
    folders = ("dog", "Cat", "dog")
    assert names(2, loaded=known, folders=folders) == (("x", "y"), "known with the weights")
    expected = (("Cat", "dog"), "folder names, numbered in alphabetical order")
    assert names(2, folders=folders) == expected
    assert names(3, folders=folders) == (("class 0", "class 1", "class 2"), "no names are known")
    numbered = (("class 0", "class 1"), "no names are known")
    assert names(2, folders=folders, is_of_one_class=False) == numbered


def test_true_classes_from_folder_names():
    labels = ("T-shirt/top", "Ankle boot", "crane", "crane", "7", "x")
    folders = (
        "t-shirt top",
        "ANKLE_BOOT",
        "ankle-boot",
        "crane",
        "3",
        "005",
        "7",
        "6",
        "cat",
        None,
    )
    assert true_indices(images(*folders), labels) == (0, 1, 1, None, 3, 5, 4, None, None, None)


def test_imagenet_folders_named_by_wordnet_id():
    labels = tuple(SqueezeNet1_1_Weights.DEFAULT.meta["categories"])
    folders = ("n02123045", "n07920052", "n99999999", "tench")
    found = true_indices(images(*folders), labels)
    assert found == (labels.index("tabby"), labels.index("espresso"), None, 0)
    assert true_indices(images("n02123045"), ("a", "b")) == (None,)


def test_names_of_marks_alone_are_told_apart():
    assert true_indices(images("+", "-"), ("-", "+")) == (1, 0)


def stated(*indices):
    """Images whose class a program states by its index."""
    known = images(*[None] * len(indices))
    files = zip(known.files, indices, strict=True)
    return replace(known, files=tuple(replace(file, true_index=at) for file, at in files))


def test_an_index_that_is_stated_is_one_of_the_network():
    assert true_indices(stated(0, 2, None, 1), ("a", "b", "c")) == (0, 2, None, 1)
    for wrong in (-1, 3, 1000):
        with pytest.raises(OptionError) as caught:
            true_indices(stated(0, wrong), ("a", "b", "c"))
        assert str(caught.value) == (
            f"None/1.png is said to be of class {wrong}, and the network has the classes 0 to 2."
        )


def test_names_that_a_program_gives_go_first(tmp_path):
    known = replace(LOADED, labels=("x", "y"), labels_source="known with the weights")
    (tmp_path / "names.txt").write_text("a\nb\n")
    file = tmp_path / "names.txt"
    assert names(2, file, loaded=known, given=("p", "q")) == (("p", "q"), "stated")
    assert names(2, file, loaded=known) == (("a", "b"), "names.txt, stated by flag")
    with pytest.raises(OptionError) as caught:
        names(3, file, given=("p", "q"))
    assert str(caught.value) == "labels= has 2 names, and the network has 3 classes."
    with pytest.raises(OptionError) as caught:
        names(3, file)
    assert str(caught.value) == f"--labels {file} has 2 names, and the network has 3 classes."


def test_a_file_of_names_as_large_as_allowed_is_read(tmp_path, monkeypatch):
    (tmp_path / "names.txt").write_text("a\nb\n")
    monkeypatch.setattr("reportgen.load.labels._MAX_BYTES", 4)
    assert names(2, tmp_path / "names.txt")[0] == ("a", "b")
    monkeypatch.setattr("reportgen.load.labels._MAX_BYTES", 3)
    with pytest.raises(OptionError, match="is too large to be a list of class names"):
        names(2, tmp_path / "names.txt")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("[1, true, []]", ("1", "True", "[]")),
        ('[["n1", "a"], ["b"], "c"]', ("a", "b", "c")),
        ('{"0": "a", " 1": "b", "2": ["x", "c "]}', ("a", "b", "c")),
        ("x\ny\nz", ("x", "y", "z")),
        ("\n[]\ny\nz", None),
        ("[]", None),
        ("[" * 100_000, None),
    ],
)
def test_names_in_files_of_other_shapes(tmp_path, content, expected):
    (tmp_path / "names").write_text(content)
    if expected is None:
        with pytest.raises(OptionError, match=r"neither a JSON list|has 0 names"):
            names(3, tmp_path / "names")
    else:
        assert names(3, tmp_path / "names") == (expected, "names, stated by flag")


def test_a_data_set_of_as_many_classes_numbers_them_as_the_network_does_or_names_them():
    def of(own, labels, *found):
        known = replace(images(*[own[at] for at in found]), class_names=own)
        files = zip(known.files, found, strict=True)
        return true_indices(
            replace(known, files=tuple(replace(file, true_index=at) for file, at in files)), labels
        )

    own = ("eel", "cat", "ape")
    assert of(own, ("ape", "cat", "eel"), 0, 1, 2) == (2, 1, 0)
    assert of(own, ("APE", "Cat.", "eel"), 0, 1, 2) == (2, 1, 0)
    assert of(own, ("p", "q", "r"), 0, 1, 2) == (0, 1, 2)
    assert of(own, ("ape", "ape", "eel"), 0, 1, 2) == (0, 1, 2)
    # Of other classes: by name alone.
    assert of(own, ("ape", "cat", "eel", "gnu"), 0, 1, 2) == (2, 1, 0)
    assert of(own, ("p", "q", "r", "gnu"), 0, 1, 2) == (None, None, None)
    # A folder beside, named as the data set spells its class.
    beside = replace(images("eel", "2", "gnu"), class_names=own)
    assert true_indices(beside, ("p", "q", "r")) == (0, 2, None)


def test_a_folder_named_by_a_number_is_a_class_of_the_network():
    assert true_indices(images("0", "2", "3", "1.0", "-1", "0" * 9, "0" * 10), ("a", "b", "c")) == (
        *(0, 2, None, None, None, 0, None),
    )
