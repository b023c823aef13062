"""Options of any values: the command on the About page, the settings file and Python agree."""

import shlex
from pathlib import Path
from typing import get_args

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reportgen.cli.kinds import section_names
from reportgen.keywords import options_from
from reportgen.options import Engine, Fill, Options
from tests.cli.conftest import Run

TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=12)
WORD = TEXT.filter(lambda text: text.strip() == text and "\\" not in text)
SIDE = st.integers(1, 4096)
SIDES = st.tuples(SIDE, SIDE)
SHARE = st.floats(0.01, 1)
CHOSEN = st.lists(st.sampled_from(section_names()), min_size=1, max_size=3).map(tuple)
SOME = st.fixed_dictionaries(
    {},
    optional={
        "title": WORD,
        "weights_key": WORD,
        "target": WORD,
        "cam_layer": WORD,
        "layers": st.lists(WORD, min_size=1, max_size=3).map(tuple),
        "visualise_also": st.lists(WORD, min_size=1, max_size=3).map(tuple),
        "sections": CHOSEN,
        "exclude": CHOSEN,
        "input_size": SIDES,
        "occlusion_window": SIDES,
        "occlusion_stride": SIDES,
        "occlusion_fill": st.sampled_from(get_args(Fill)),
        "occlusion_engine": st.sampled_from(get_args(Engine)),
        "crop_pct": SHARE,
        "mean": st.lists(SHARE, min_size=1, max_size=3).map(tuple),
        "std": st.lists(SHARE, min_size=1, max_size=3).map(tuple),
        "max_images": SIDE,
        "visualise": st.integers(0, 99),
        "batch_size": SIDE,
        "seed": st.integers(0, 2**63 - 1),
        "save_arrays": st.booleans(),
    },
)
kept = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@kept
@given(given_values=SOME)
def test_the_printed_command_makes_the_same_options(
    given_values: dict[str, object], run: Run, builds: list[tuple[Options, str]]
) -> None:
    from reportgen.cli.build import command_line

    options = options_from(Path("m.pth"), (Path("a"),), None, given_values)
    builds.clear()
    told = run(*shlex.split(command_line(options))[1:])
    assert builds, told.err
    assert builds[0][0] == options


@kept
@given(given_values=SOME)
def test_what_is_shown_as_settings_reads_back(
    given_values: dict[str, object], run: Run, builds: list[tuple[Options, str]]
) -> None:
    from reportgen.cli.build import command_line

    options = options_from(Path("m.pth"), (Path("a"),), None, given_values)
    Path("reportgen.toml").unlink(missing_ok=True)
    shown = run(*shlex.split(command_line(options))[1:], "--show-config")
    assert shown.code == 0, shown.err
    Path("reportgen.toml").write_text(shown.out, "utf-8")
    builds.clear()
    told = run("build")
    assert builds, told.err
    assert builds[0][0] == options
