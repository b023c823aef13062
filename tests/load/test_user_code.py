"""A user's constructor: found in its file, asked what it takes, run; each refusal whole."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from reportgen.errors import ModelError, OptionError
from reportgen.load.user_code import arguments_from, construct, constructor, count_name, needs

CODE = """
import sys
from torch.nn import Linear, ReLU

SEEN = (sys.path[0], sys.dont_write_bytecode)

class Network(Linear):
    def __init__(self, width=3, num_classes=10):
        super().__init__(width, num_classes)

def make(width):
    return Network(width)

NUMBER = 3
MADE = Linear(2, 3)
text = "words"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(CODE)
    return tmp_path / "net.py"


def refusal(work: Callable[..., Any], *given: Any) -> str:
    with pytest.raises((ModelError, OptionError)) as caught:
        work(*given)
    return str(caught.value)


def test_a_constructor_is_found_in_its_file(file: Path) -> None:
    before, path = sys.dont_write_bytecode, list(sys.path)
    found = constructor(f"{file}:Network")
    assert found.__name__ == "Network"
    module = sys.modules[found.__module__]
    assert module.__name__ == "_reportgen_arch_net"
    assert (str(file.parent), True) == module.SEEN
    assert sys.dont_write_bytecode == before and sys.path == path
    assert constructor(f"{file}:make")(3).out_features == 10
    # What a file has imported may be named too.
    assert constructor(f"{file}:Linear") is nn.Linear


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Netwrk", "net.py has no Netwrk; did you mean Network?"),
        # Only what the file defines itself is meant.
        ("Linea", "net.py has no Linea; did you mean make?"),
        ("NUMBER", "NUMBER is neither a class nor a function."),
        ("MADE", "MADE is neither a class nor a function."),
        ("a b", "after the colon comes the name of a class or function."),
        ("", "after the colon comes the name of a class or function."),
    ],
)
def test_a_name_that_is_no_constructor_is_told(name: str, words: str, file: Path) -> None:
    assert refusal(constructor, f"{file}:{name}") == f"--arch {file}:{name}: {words}"


def test_a_file_without_constructors_has_none_to_suggest(tmp_path: Path) -> None:
    (tmp_path / "bare.py").write_text("from torch.nn import Linear\nx = 3\n")
    arch = f"{tmp_path / 'bare.py'}:Net"
    assert refusal(constructor, arch) == f"--arch {arch}: bare.py has no Net."
    missing = f"{tmp_path / 'none.py'}"
    assert refusal(constructor, f"{missing}:Net") == (
        f"--arch {missing}:Net: there is no file {missing}."
    )


def test_arguments_are_a_json_object() -> None:
    assert arguments_from("") == {}
    assert arguments_from('{"a": [1, null]}') == {"a": [1, None]}
    assert refusal(arguments_from, "[1]") == (
        '--arch-args must be a JSON object such as {"num_classes": 5}: [1]'
    )
    with pytest.raises(json.JSONDecodeError) as reason:
        json.loads("{a}")
    assert refusal(arguments_from, "{a}") == f"--arch-args is no JSON ({reason.value}): {{a}}"


@pytest.mark.parametrize(
    "name", ["num_classes", "n_classes", "nb_classes", "num_labels", "classes", "out_features"]
)
def test_the_count_of_classes_has_a_usual_name(name: str) -> None:
    make = eval(f"lambda width, {name}=3: None")
    assert count_name(make) == name
    assert needs(make, "width") and not needs(make, name) and not needs(make, "depth")


def test_of_two_names_the_commoner_counts_classes() -> None:
    assert count_name(lambda out_features, n_classes: None) == "n_classes"
    assert count_name(lambda width: None) == ""


class Opaque:
    """Has no signature that Python can read."""

    __signature__ = "none"

    def __call__(self, **given: Any) -> nn.Module:
        return nn.Linear(2, given["width"])


def test_a_constructor_that_says_nothing_takes_anything() -> None:
    make = Opaque()
    assert (count_name(make), needs(make, "width")) == ("", False)
    assert construct(make, {"width": 5}, "x").out_features == 5


def test_a_network_is_built_with_the_callers_random_numbers_untouched(file: Path) -> None:
    make = constructor(f"{file}:Network")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = construct(make, {"num_classes": 4}, f"{file}:Network")
    assert torch.equal(torch.rand(3), expected)
    again = construct(make, {"num_classes": 4}, f"{file}:Network")
    assert torch.equal(first.weight, again.weight) and first.out_features == 4


def test_arguments_that_a_constructor_does_not_take_are_told(file: Path) -> None:
    make, arch = constructor(f"{file}:make"), f"{file}:make"
    assert refusal(construct, make, {}, arch) == (
        f"--arch {arch}: missing a required argument: 'width'; it takes width. Give them with "
        "--arch-args."
    )
    assert refusal(construct, lambda: None, {"a": 1}, "x:y") == (
        "--arch x:y: got an unexpected keyword argument 'a'; it takes nothing. Give them with "
        "--arch-args."
    )


SCRIPT = "is TorchScript, which cannot be watched at work; build the network without scripting it."
OTHERS: dict[str, tuple[Callable[[], Any], str]] = {
    "text": (lambda: "text", " gave a str, not a torch.nn.Module."),
    "lazy": (
        lambda: nn.Sequential(nn.LazyLinear(3)),
        " has lazy layers, whose shapes are not known before a run.",
    ),
    "script": (lambda: torch.jit.script(nn.ReLU()), f": it {SCRIPT}"),
    "script inside": (
        lambda: nn.Sequential(nn.ReLU(), nn.Sequential(torch.jit.script(nn.ReLU()))),
        f": its part 1.0 {SCRIPT}",
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_network_is_told(name: str) -> None:
    make, words = OTHERS[name]
    assert refusal(construct, make, {}, "x:y") == f"--arch x:y{words}"


def test_what_stands_behind_a_wrapper_is_the_network() -> None:
    net = nn.Linear(2, 3)
    assert construct(lambda: torch.compile(net), {}, "x:y") is net


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("\n\nx = 1 / 0\n", "in line 3 with ZeroDivisionError: division by zero"),
        ("def f():\n    raise ValueError\nf()\n", "in line 2 with ValueError."),
        ("raise SystemExit(3)\n", "in line 1 with SystemExit: 3"),
        ("raise ValueError('a\\n  b')\n", "in line 1 with ValueError: a b"),
        (f"raise ValueError('{'a' * 300}')\n", f"in line 1 with ValueError: {'a' * 200}"),
        ("import json\n\njson.loads('{')\n", "in line 3 with JSONDecodeError: Expecting property "),
        ("\nx = (1\n", "in line 2 with SyntaxError: '(' was never closed"),
    ],
)
def test_code_that_fails_is_told_with_its_line(code: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(code)
    message = refusal(constructor, f"{tmp_path / 'bad.py'}:Net")
    expected = f"--arch bad.py: the code failed {words}"
    assert message == expected or (words.endswith(" ") and message.startswith(expected))


def test_a_failure_elsewhere_has_no_line() -> None:
    def make() -> nn.Module:
        raise ValueError("no")

    assert refusal(construct, make, {}, "other.py:make") == (
        "--arch other.py:make: the code failed with ValueError: no"
    )


def test_what_reportgen_says_itself_passes(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "from reportgen.errors import OptionError\nraise OptionError('said so')\n"
    )
    assert refusal(constructor, f"{tmp_path / 'own.py'}:Net") == "said so"


def test_a_factory_may_import_what_lies_beside_it_when_it_is_called(tmp_path: Path) -> None:
    (tmp_path / "beside_it.py").write_text("WIDTH = 7\n")
    (tmp_path / "late.py").write_text(
        "from torch import nn\n"
        "def make():\n    from beside_it import WIDTH\n    return nn.Linear(WIDTH, 2)\n"
    )
    arch, path = f"{tmp_path / 'late.py'}:make", list(sys.path)
    try:
        assert construct(constructor(arch), {}, arch).in_features == 7
    finally:
        sys.modules.pop("beside_it", None)
    assert sys.path == path
    assert not (tmp_path / "__pycache__").exists()
