"""Names of weights as tools change them, and each of the ways in which they are undone."""

import pytest
import torch

from reportgen.load.prefixes import readings

COUNTERS = "Counters that are no weights were left out: {}."
COMPILED = "The prefix `_orig_mod.` of torch.compile was removed."
SHARED = "The prefix `{}` was removed."
ONLY = "Only the entries under `{}` were used; left out: {}."
PARALLEL = "The inner prefix `module.` of DataParallel was removed."
OLDER = "Older spellings of names were brought up to date."


def read(*names: str) -> list[tuple[dict[str, str], tuple[str, ...]]]:
    """Each reading: new names with the old ones of the same weights, and what was done."""
    weights = {name: torch.tensor([float(at)]) for at, name in enumerate(names)}
    return [
        ({new: names[int(value)] for new, value in found.items()}, notes)
        for found, notes in readings(weights)
    ]


def test_names_that_say_nothing_are_read_as_they_are() -> None:
    assert read("weight", "bias") == [({"weight": "weight", "bias": "bias"}, ())]
    assert read("a.weight", "b.bias") == [({"a.weight": "a.weight", "b.bias": "b.bias"}, ())]


@pytest.mark.parametrize("name", ["n_averaged", "a.total_ops", "a.b.total_params"])
def test_counters_are_left_out(name: str) -> None:
    first, second = read("a.w", "b.w", name)
    assert first == ({n: n for n in ("a.w", "b.w", name)}, ())
    assert second == ({"a.w": "a.w", "b.w": "b.w"}, (COUNTERS.format(name),))


@pytest.mark.parametrize("name", ["averaged", "n_averaged.w", "total_ops", "a.total_ops.w"])
def test_what_only_looks_like_a_counter_is_a_weight(name: str) -> None:
    assert read("a.w", "b.w", name) == [({n: n for n in ("a.w", "b.w", name)}, ())]


def test_of_many_counters_the_first_are_named() -> None:
    names = [f"{letter}.total_ops" for letter in "pqrs"]
    notes = [notes for _, notes in read("a.w", "b.w", *names)]
    assert notes == [(), (COUNTERS.format("p.total_ops, q.total_ops, r.total_ops"),)]


def test_what_compile_adds_is_removed_wherever_it_stands() -> None:
    first, second = read("_orig_mod.a.w", "b._orig_mod.c.w")
    assert first[1] == ()
    assert second == ({"a.w": "_orig_mod.a.w", "b.c.w": "b._orig_mod.c.w"}, (COMPILED,))


def test_a_prefix_that_all_names_share_is_removed() -> None:
    found = read("x.a.w", "x.b.w")
    assert found[1:] == [({"a.w": "x.a.w", "b.w": "x.b.w"}, (SHARED.format("x."),))]
    assert read("x.a", "xy.b") == [({"x.a": "x.a", "xy.b": "xy.b"}, ())]
    # One inside the other, as far as they go.
    assert read("x.y.w")[-1] == ({"w": "x.y.w"}, (SHARED.format("x."), SHARED.format("y.")))


@pytest.mark.parametrize("prefix", ["model.", "net.", "network.", "module.", "backbone."])
def test_the_entries_of_the_network_alone_are_taken(prefix: str) -> None:
    names = [f"{prefix}a.w", f"{prefix}b.w", "loss.w"]
    found = read(*names)
    assert found == [
        ({name: name for name in names}, ()),
        ({"a.w": names[0], "b.w": names[1]}, (ONLY.format(prefix, "loss.w"),)),
    ]


@pytest.mark.parametrize(
    ("others", "said"),
    [
        (3, "m0.w, m1.w, m2.w"),
        (4, "m0.w, m1.w, m2.w and 1 more"),
        (6, "m0.w, m1.w, m2.w and 3 more"),
    ],
)
def test_what_is_left_out_beside_the_network_is_named(others: int, said: str) -> None:
    found = read("net.a.w", *(f"m{at}.w" for at in range(others)), "net.b.w")
    assert found[1] == ({"a.w": "net.a.w", "b.w": "net.b.w"}, (ONLY.format("net.", said),))


def test_counters_go_before_the_network_is_taken_out_of_what_is_left() -> None:
    found = read("net.a.w", "net.b.w", "loss.w", "n_averaged")
    assert [notes for _, notes in found] == [
        (),
        (COUNTERS.format("n_averaged"),),
        (COUNTERS.format("n_averaged"), ONLY.format("net.", "loss.w")),
    ]


def test_a_parallel_part_is_read_as_the_part() -> None:
    found = read("features.module.0.w", "head.w")
    assert found[1:] == [
        ({"features.0.w": "features.module.0.w", "head.w": "head.w"}, (PARALLEL,)),
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("f.denselayer3.norm.1.weight", "f.denselayer3.norm1.weight"),
        ("f.denselayer12.conv.2.weight", "f.denselayer12.conv2.weight"),
        ("f.denselayer1.relu.2.x", "f.denselayer1.relu2.x"),
        ("e.mlp.linear_1.bias", "e.mlp.0.bias"),
        ("e.mlp.linear_2.bias", "e.mlp.3.bias"),
    ],
)
def test_older_spellings_are_read_as_todays(old: str, new: str) -> None:
    assert read(old, "head.w")[1:] == [({new: old, "head.w": "head.w"}, (OLDER,))]


@pytest.mark.parametrize(
    "name", ["f.denselayer3.norm.3.w", "f.layer3.norm.1.w", "e.mlp.linear_3.w"]
)
def test_spellings_that_are_none_of_these_stay(name: str) -> None:
    assert len(read(name, "head.w")) == 1


def test_two_names_that_would_become_one_stay() -> None:
    assert read("a.w", "_orig_mod.a.w")[0][1] == ()
    assert all(len(found) == 2 for found, _ in read("a.w", "_orig_mod.a.w"))
    assert all(PARALLEL not in notes for _, notes in read("b.module.w", "b.w"))


def test_eight_steps_are_enough() -> None:
    prefix = "".join(f"p{at}." for at in range(12))
    found = read(prefix + "w", prefix + "v")
    assert [len(notes) for _, notes in found] == list(range(9))
    assert list(found[-1][0]) == ["p8.p9.p10.p11.w", "p8.p9.p10.p11.v"]
