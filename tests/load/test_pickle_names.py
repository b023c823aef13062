"""Which names a pickle asks for, whatever instructions it asks with."""

import io

import pytest

from reportgen.load.pickle_names import is_dangerous, is_suspicious_call, names_in_pickle

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
    for protocol in (2, 4):
        assert names_in_pickle(io.BytesIO(b"\x80%cN." % protocol), "m.pth")[1] == protocol
    assert names_in_pickle(io.BytesIO(b"N."), "m.pth")[1] == 0


DANGEROUS = ("os.path.join", "a.os.b", "a.__class__.b", "x.register_module_full_hook", "(hidden")
HARMLESS = ("torch.Size", "collections.OrderedDict", "mine.system", "mine.__init__", "a.register_b")


@pytest.mark.parametrize("name", DANGEROUS)
def test_names_that_reach_out_are_dangerous(name: str) -> None:
    assert is_dangerous(name)


def test_a_call_of_a_function_is_suspicious_and_of_a_class_is_not() -> None:
    assert not is_suspicious_call("mine.Settings") and not is_suspicious_call("mine._Settings")
    assert is_suspicious_call("mine.settings") and is_suspicious_call("Mine._settings")
