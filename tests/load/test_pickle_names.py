"""Which names a pickle asks for, whatever instructions it asks with."""

import io

import pytest

from reportgen.errors import ModelError, UnsafeModelError
from reportgen.load.pickle_names import (
    is_dangerous,
    is_suspicious_call,
    names_in_pickle,
    refuse_dangerous,
)

PUTS = {"PUT": b"p7\n", "BINPUT": b"q\x07", "LONG_BINPUT": b"r\x07\0\0\0"}
GETS = {"GET": b"g7\n", "BINGET": b"h\x07", "LONG_BINGET": b"j\x07\0\0\0"}
TEXTS = {
    "STRING": b"S'os'\n",
    "BINSTRING": b"T\x02\0\0\0os",
    "SHORT_BINSTRING": b"U\x02os",
    "UNICODE": b"Vos\n",
    "BINUNICODE": b"X\x02\0\0\0os",
    "SHORT_BINUNICODE": b"\x8c\x02os",
    "BINUNICODE8": b"\x8d\x02\0\0\0\0\0\0\0os",
}


def names(pickled: bytes) -> set[str]:
    return set(names_in_pickle(io.BytesIO(pickled), "m.pth")[0])


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
@pytest.mark.parametrize("put", PUTS.values(), ids=PUTS.keys())
@pytest.mark.parametrize("get", GETS.values(), ids=GETS.keys())
def test_a_name_that_was_put_aside_is_seen(text: bytes, put: bytes, get: bytes) -> None:
    assert names(text + put + b"N0" + get + b"U\x06system" + b"\x93.") == {"os.system"}
    # Put aside too, and taken from there: the second name.
    assert names(b"U\x06system" + put + b"N" + text + get + b"\x93.") == {"os.system"}


def test_what_was_memoised_is_numbered_from_nought() -> None:
    aside = b"U\x02os\x94U\x06system\x94N0"
    assert names(aside + b"h\x00h\x01\x93.") == {"os.system"}


@pytest.mark.parametrize(
    "pickled",
    [
        b"\x93.",
        b"U\x06system\x93.",
        b"NN\x93.",
        b"U\x02osN\x93.",
        b"NU\x06system\x93.",
        b"h\x09N\x93.",
        b"U\x02os]U\x06system\x93.",
    ],
)
def test_a_name_that_is_hidden_is_dangerous(pickled: bytes) -> None:
    assert names(pickled) == {"(hidden name)"} and is_dangerous("(hidden name)")


ODD = {
    "INST": b"(ios\nsystem\n.",
    "OBJ": b"(o.",
    "EXT1": b"\x82\x01.",
    "EXT2": b"\x83\x01\x00.",
    "EXT4": b"\x84\x01\0\0\0.",
}


@pytest.mark.parametrize("kind", ODD)
def test_instructions_that_hide_what_they_call_are_named_and_dangerous(kind: str) -> None:
    found = names(ODD[kind])
    assert f"(pickle instruction {kind})" in found and is_dangerous(f"(pickle instruction {kind})")
    assert ("os.system" in found) == (kind == "INST")


def test_names_of_python_2_are_those_of_python_3() -> None:
    assert names(b"c__builtin__\neval\ncurllib\nurlopen\nccopy_reg\n_reconstructor\n.") == {
        "builtins.eval",
        "urllib.request.urlopen",
        "copyreg._reconstructor",
    }


def test_the_protocol_is_the_one_that_is_stated() -> None:
    for protocol in range(6):
        assert names_in_pickle(io.BytesIO(b"\x80%cN." % protocol), "m.pth")[1] == protocol
    assert names_in_pickle(io.BytesIO(b"N."), "m.pth")[1] == 0


DANGEROUS = ("os.path.join", "a.os.b", "a.__class__.b", "x.register_module_full_hook", "(hidden")
HARMLESS = ("torch.Size", "collections.OrderedDict", "mine.system", "__main__.Net", "a.register_b")


@pytest.mark.parametrize("name", DANGEROUS)
def test_names_that_reach_out_are_dangerous(name: str) -> None:
    assert is_dangerous(name)


def test_a_call_of_a_function_is_suspicious_and_of_a_class_is_not() -> None:
    assert not is_suspicious_call("mine.Settings") and not is_suspicious_call("mine._Settings")
    assert is_suspicious_call("mine.settings") and is_suspicious_call("Mine._settings")


def test_a_name_that_stands_between_hides_what_is_under_it() -> None:
    between = b"U\x02oscmine\nNet\nU\x06system\x93."
    assert names(between) == {"mine.Net", "(hidden name)"}
    made = b"U\x02osU\x04mineU\x03Net\x93U\x06system\x93."
    assert names(made) == {"mine.Net", "(hidden name)"}


@pytest.mark.parametrize("name", [*HARMLESS, "builtins.int", "_codecs.encode", "io2.x", "a.eval.b"])
def test_names_that_only_hold_data_are_none(name: str) -> None:
    assert is_dangerous(name) is False


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (1, "os.a"),
        (5, "os.a, os.b, os.c, os.d, os.e"),
        (6, "os.a, os.b, os.c, os.d, os.e and 1 more"),
        (8, "os.a, os.b, os.c, os.d, os.e and 3 more"),
    ],
)
def test_what_was_asked_for_is_named(count: int, shown: str) -> None:
    asked = frozenset(f"os.{letter}" for letter in "abcdefgh"[:count])
    with pytest.raises(UnsafeModelError) as caught:
        refuse_dangerous(asked | {"torch.Size"}, "m.pth")
    assert str(caught.value) == (
        f"m.pth was refused: it asks for {shown}, which no model file needs; nothing in it was "
        "run. Ask its author for a plain state_dict or a safetensors file."
    )
    refuse_dangerous(frozenset({"torch.Size"}), "m.pth")


@pytest.mark.parametrize("pickled", [b"", b"N", b"X\x05\0\0\0ab", b"c", b"\xff.", b"I5x\n."])
def test_a_pickle_that_does_not_end_is_told(pickled: bytes) -> None:
    with pytest.raises(ModelError) as caught:
        names(pickled)
    said = "m.pth is damaged or cut short: its pickle does not end."
    assert str(caught.value) == said


@pytest.mark.parametrize("name", ["a b", "1.x", "a..b", "a-b.c"])
def test_a_name_that_is_none_is_told(name: str) -> None:
    with pytest.raises(ModelError) as caught:
        names(f"cmine\n{name}\n.".encode())
    said = f"m.pth is damaged: its pickle asks for 'mine.{name}', which is no name."
    assert str(caught.value) == said
