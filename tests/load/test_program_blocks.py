"""The modules of a network made from a program: which there are, what each does step by step."""

import weakref
from typing import Any

import pytest
import torch
from torch import nn

from reportgen.load.aten import FUNCTIONS
from reportgen.load.program import Argument, Frame, Name, Operation, Program, Weight
from reportgen.load.program_blocks import Block, Network, Routine, Step
from reportgen.load.program_net import network_of

X = Name("x")
RELU, NEG, EXP, MUL, ADD = (
    f"{name}.default" if name in ("relu", "neg", "exp") else f"{name}.Tensor"
    for name in ("relu", "neg", "exp", "mul", "add")
)


def frame(path: str, kind: str = "", call: str = "") -> Frame:
    kinds = {"act": "torch.nn.modules.activation.ReLU", "head": "torch.nn.modules.linear.Linear"}
    return Frame(path, kind or kinds.get(path.rpartition(".")[2], "net.Part"), call or path)


def operation(target: str, result: str, *frames: Frame, **arguments: Argument) -> Operation:
    return Operation(target, arguments, (result,), True, frames)


def one(target: str, source: str, result: str, *frames: Frame) -> Operation:
    return operation(target, result, *frames, self=Name(source))


def two(target: str, a: Argument, b: Argument, result: str, *frames: Frame) -> Operation:
    return operation(target, result, *frames, self=a, other=b)


def program(*operations: Operation, outputs: tuple[str, ...] = (), **given: Any) -> Program:
    ends = outputs or operations[-1].results
    usual = {"weights": {}, "constants": (), "modules": (), "type": "net.Outer"} | given
    return Program(operations, "x", (None, 3), (2, 3), ends, **usual)


def made(
    *operations: Operation, tensors: dict[str, torch.Tensor] | None = None, **given: Any
) -> Any:
    return network_of(program(*operations, **given), operations, tensors or {})


def told(routine: Routine) -> list[tuple[Any, ...]]:
    """The steps of a routine: what is called, with what, what it gives, and what is over then."""
    return [
        (step.function, step.places, dict(step.named), step.results, step.is_single, set(step.ends))
        for step in routine.steps
    ]


def test_a_block_that_is_called_twice_has_two_routines() -> None:
    part, again = frame("part"), frame("part", call="part@1")
    net = made(
        one(NEG, "x", "n"),
        one(RELU, "n", "r", part),
        two(MUL, Name("r"), Name("n"), "m", part),
        one(EXP, "m", "e", again),
        two(ADD, Name("e"), Name("n"), "end"),
    )
    assert type(net).__name__ == "Outer" and isinstance(net, Network)
    assert type(net.part).__name__ == "Part" and isinstance(net.part, Block)
    (routine,) = net.routines
    assert (routine.inputs, routine.outputs) == ((X,), (Name("end"),))
    n, m, e = map(Name, "nme")
    assert told(routine) == [
        (FUNCTIONS[NEG], (X,), {}, ("n",), True, {X}),
        (net.part, (n,), {}, ("m",), True, set()),
        (net.part, (m,), {"call": 1}, ("e",), True, {m}),
        (FUNCTIONS[ADD], (e, n), {}, ("end",), True, {e, n}),
    ]
    first, second = net.part.routines
    assert (first.inputs, first.outputs) == ((n,), (m,))
    assert told(first) == [
        (FUNCTIONS[RELU], (n,), {}, ("r",), True, set()),
        (FUNCTIONS[MUL], (Name("r"), n), {}, ("m",), True, {n, Name("r")}),
    ]
    assert (second.inputs, second.outputs) == ((m,), (e,))
    assert told(second) == [(FUNCTIONS[EXP], (m,), {}, ("e",), True, {m})]
    x = torch.randn(4, 3)
    assert torch.equal(net(x), torch.exp((-x).relu() * -x) - x)
    assert torch.equal(net.part(-x), (-x).relu() * -x)
    assert torch.equal(net.part(x, call=1), x.exp())


def test_a_block_may_give_several_results_and_one_that_nobody_reads() -> None:
    part = frame("part")
    rows = Operation("unbind.int", {"self": X, "dim": 1}, ("a", "b", "c"), False, (part,))
    net = made(rows, one(NEG, "c", "n", part), two(ADD, Name("a"), Name("n"), "end"))
    (routine,) = net.routines
    a, n = Name("a"), Name("n")
    assert told(routine) == [
        (net.part, (X,), {}, ("a", "n"), False, {X}),
        (FUNCTIONS[ADD], (a, n), {}, ("end",), True, {a, n}),
    ]
    (inside,) = net.part.routines
    assert inside.outputs == (a, n)
    assert told(inside) == [
        (FUNCTIONS["unbind.int"], (X, 1), {}, ("a", "b", "c"), False, {X, Name("b")}),
        (FUNCTIONS[NEG], (Name("c"),), {}, ("n",), True, {Name("c")}),
    ]
    x = torch.randn(4, 3)
    assert torch.equal(net(x), x[:, 0] - x[:, 2])
    assert [item.tolist() for item in net.part(x)] == [x[:, 0].tolist(), (-x[:, 2]).tolist()]


def test_a_result_without_a_name_is_left_aside() -> None:
    pair = Operation("max.dim", {"self": X, "dim": 1}, ("", "place"), False, ())
    x = torch.randn(4, 3)
    assert torch.equal(made(pair, outputs=("place",))(x), x.argmax(1))


def test_several_answers_come_in_their_order_and_may_be_the_image() -> None:
    net = made(one(NEG, "x", "n"), one(EXP, "x", "e"), outputs=("e", "x", "n"))
    x = torch.randn(4, 3)
    for found, expected in zip(net(x), (x.exp(), x, -x), strict=True):
        assert torch.equal(found, expected)


def test_a_block_is_given_what_is_not_its_own() -> None:
    part, inner = frame("part"), frame("part.inner")
    tensors = {"part.w": torch.rand(3), "w": torch.rand(3), "part.inner.v": torch.rand(3)}
    net = made(
        two(MUL, X, Weight("part.w"), "a", part),
        two(MUL, Name("a"), Weight("w"), "b", part, inner),
        two(MUL, Name("b"), Weight("part.inner.v"), "c", part, inner),
        two(ADD, Name("c"), Name("a"), "end", part),
        tensors=tensors,
        weights={"w": True, "part.w": False, "part.inner.v": True},
    )
    (outer,) = net.routines
    assert told(outer) == [(net.part, (X, Weight("w")), {}, ("end",), True, {X, Weight("w")})]
    (routine,) = net.part.routines
    assert routine.inputs == (X, Weight("w"))
    assert told(routine)[1][1] == (Name("a"), Weight("w"))
    assert net.part.inner.routines[0].inputs == (Name("a"), Weight("w"))
    assert {name: tensor.is_meta for name, tensor in net.state_dict().items()} == dict.fromkeys(
        tensors, True
    )
    assert list(net.state_dict()) == ["w", "part.w", "part.inner.v"]
    assert [name for name, _ in net.named_parameters()] == ["w", "part.inner.v"]
    net.load_state_dict(tensors, assign=True)
    x = torch.randn(4, 3)
    own = x * tensors["part.w"]
    expected = own * tensors["w"] * tensors["part.inner.v"] + own
    assert torch.equal(net(x), expected)
    assert torch.equal(net.part(x, tensors["w"]), expected)


def test_a_layer_that_is_called_twice_is_one_and_another_of_its_name_is_steps() -> None:
    act = frame("act")
    plain = made(one(RELU, "x", "a", act), one(NEG, "a", "b"), one(RELU, "b", "end", act))
    assert [step[0] for step in told(plain.routines[0])] == [plain.act, FUNCTIONS[NEG], plain.act]
    assert type(plain.act) is nn.ReLU
    mixed = made(one(RELU, "x", "a", act), one(NEG, "a", "b"), one("relu_.default", "b", "c", act))
    assert [step[0] for step in told(mixed.routines[0])] == [
        *(mixed.act, FUNCTIONS[NEG], FUNCTIONS["relu_.default"])
    ]
    other = frame("act", "torch.nn.modules.activation.Sigmoid")
    kinds = made(one(RELU, "x", "a", act), one("sigmoid.default", "a", "b", other))
    assert [step[0] for step in told(kinds.routines[0])] == [
        *(kinds.act, FUNCTIONS["sigmoid.default"])
    ]


def test_a_layer_with_weights_that_is_called_twice_is_one() -> None:
    head, tensors = frame("head"), {"head.weight": torch.rand(3, 3)}

    def product(source: str, result: str) -> Operation:
        given: dict[str, Argument] = {"input": Name(source), "weight": Weight("head.weight")}
        return operation("linear.default", result, head, **given)

    known = {"tensors": tensors, "weights": {"head.weight": True}}
    net = made(product("x", "a"), one(NEG, "a", "b"), product("b", "end"), **known)
    assert [step[0] for step in told(net.routines[0])] == [net.head, FUNCTIONS[NEG], net.head]
    assert type(net.head) is nn.Linear and net.head.bias is None


def test_a_layer_of_which_more_than_the_result_is_read_is_a_block() -> None:
    head, tensors = frame("head"), {"head.weight": torch.rand(2, 3), "head.bias": torch.rand(2)}
    turned = operation("t.default", "t", head, self=Weight("head.weight"))
    given: dict[str, Argument] = {"self": Weight("head.bias"), "mat1": X, "mat2": Name("t")}
    product = operation("addmm.default", "p", head, **given)
    known = {"tensors": tensors, "weights": dict.fromkeys(tensors, True)}
    net = made(turned, product, **known)
    assert type(net.head) is nn.Linear
    assert told(net.routines[0]) == [(net.head, (X,), {}, ("p",), True, {X})]
    both = made(turned, product, outputs=("t", "p"), **known)
    assert isinstance(both.head, Block)
    assert list(both.state_dict()) == ["head.weight", "head.bias"]
    assert told(both.routines[0]) == [(both.head, (X,), {}, ("t", "p"), False, {X})]


def test_what_nobody_reads_is_done_as_steps() -> None:
    """A block without a result is none."""
    net = made(one(NEG, "x", "lost", frame("part")), one(EXP, "x", "end"))
    assert [step[0] for step in told(net.routines[0])] == [FUNCTIONS[NEG], FUNCTIONS[EXP]]
    assert told(net.routines[0])[0][-1] == {Name("lost")}


def test_modules_lie_in_the_order_of_the_author() -> None:
    tensors = {"b.w": torch.rand(3), "loose": torch.ones(3), "k.c": torch.tensor([1, 2, 3])}
    net = made(
        one(RELU, "x", "r", frame("c"), frame("c.act")),
        two(MUL, Name("r"), Weight("b.w"), "m", frame("b")),
        two(ADD, Name("m"), Weight("k.c"), "end", frame("a")),
        tensors=tensors,
        modules=("a", "b", "c", "nothing", "c.nothing", "deep.in.nothing", "c.act"),
        weights={"b.w": True, "loose": True},
        constants=("k.c",),
    )
    assert [name for name, _ in net.named_children()] == ["a", "b", "c", "nothing", "k", "deep"]
    assert [name for name, _ in net.c.named_children()] == ["nothing", "act"]
    kinds = {path: type(part).__name__ for path, part in net.named_modules()}
    assert kinds == {
        **{"": "Outer", "a": "Part", "b": "Part", "c": "Part", "c.act": "ReLU"},
        **{"nothing": "Identity", "c.nothing": "Identity", "k": "Block"},
        **{"deep": "Block", "deep.in": "Block", "deep.in.nothing": "Identity"},
    }
    assert list(net.state_dict()) == ["loose", "b.w"]
    assert net.k.c is tensors["k.c"] and dict(net.named_buffers()) == {"k.c": tensors["k.c"]}


def test_weights_of_no_layer_learn_where_they_are_real_numbers() -> None:
    tensors = {"a": torch.rand(2), "b": torch.ones(3, dtype=torch.int64), "c": torch.rand(4)}
    net = made(one(NEG, "x", "end"), tensors=tensors, weights={"a": True, "b": True, "c": False})
    assert {name: value.requires_grad for name, value in net.named_parameters()} == {
        "a": True,
        "b": False,
    }
    for name, value in net.state_dict().items():
        assert (value.shape, value.dtype) == (tensors[name].shape, tensors[name].dtype)
        assert value.is_meta
    assert list(dict(net.named_buffers())) == ["c"]


@pytest.mark.parametrize("path", ["forward", "routines", "part.path", "act.weight"])
def test_a_module_of_a_name_that_is_taken_is_done_as_steps(path: str) -> None:
    part = frame(path, "net.Any")
    before = [one(RELU, "x", "a", frame("act")), one(NEG, "a", "b", frame("part"))]
    if path.startswith("part"):
        end = [one(EXP, "b", "c", frame("part"), part), one(NEG, "c", "end", frame("part"))]
    else:
        end = [one(EXP, "b", "c", part), one(NEG, "c", "end")]
    net = made(*before, *end)
    x = torch.randn(4, 3)
    assert torch.equal(net(x), -torch.exp(-x.relu()))
    assert {name for name, _ in net.named_modules()} == {"", "act", "part"}


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("net.Mine", "Mine"),
        ("Mine", "Mine"),
        ("", "Network"),
        ("net.<locals>", "Network"),
        ("net." + "A" * 100, "A" * 100),
        ("net." + "A" * 101, "Network"),
    ],
)
def test_a_network_is_called_as_its_author_called_it(kind: str, name: str) -> None:
    net = made(one(NEG, "x", "end"), type=kind)
    assert type(net).__name__ == name
    assert isinstance(net, Network) and type(net).__doc__ == Network.__doc__


def test_what_a_block_needs_no_more_is_let_go() -> None:
    """The first result is over when the last step begins."""
    alive: list[bool] = []
    held: list[Any] = []

    def first(x: torch.Tensor) -> torch.Tensor:
        result = x + 1
        held.append(weakref.ref(result))
        return result

    def last(x: torch.Tensor) -> torch.Tensor:
        alive.append(held[0]() is not None)
        return x

    block = Block("")
    a, b, c = map(Name, "abc")
    block.routines.append(
        Routine(
            (X,),
            (
                Step(first, (X,), {}, ("a",), True, (X,)),
                Step(torch.neg, (a,), {}, ("b",), True, (a,)),
                Step(last, (b,), {}, ("c",), True, (b,)),
            ),
            (c,),
        )
    )
    x = torch.ones(2)
    assert torch.equal(block(x), -(x + 1))
    assert alive == [False]


def test_a_block_is_given_as_many_values_as_it_reads() -> None:
    net = made(one(NEG, "x", "n", frame("part")), one(NEG, "n", "end"))
    with pytest.raises(ValueError, match="argument 2 is longer"):
        net.part(torch.ones(2), torch.ones(2))
