"""The pytest plugin: its options, its fixtures, and what it imports, in runs of pytest of their own."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

import flowc
from flowc import testing
from flowc.testing import plugin
from flowc.testing.flows import seeds

pytest_plugins = "pytester"

AHEAD = (flowc.flow, flowc.llm, testing.check, testing.inputs, testing.Recording)
"""What the inner runs need, imported before: pytester forgets what is imported in one of them."""

FLOW = '''
import flowc
from flowc import testing


@flowc.llm
def choose(x: int) -> bool:
    """Is {x} a good one?"""


@flowc.flow
def pick(x: int) -> bool:
    """Picks."""
    return choose(x)
'''
SEEDED = (
    FLOW
    + """

def test_picks():
    run = testing.check(pick, {"x": 1})
    assert run.seed == 7, str(run)


def test_without():
    assert False


def test_own_seed():
    assert testing.check(pick, {"x": 1}, seed=3).seed != 3
"""
)
RECORDED = (
    FLOW
    + """

def test_picks(recorded):
    assert recorded.check(pick, {"x": 1}).ok
"""
)


OPTIONS = ("-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:hypothesispytest")


@pytest.fixture
def run(pytester: pytest.Pytester) -> Iterator[Callable[..., pytest.RunResult]]:
    """Runs pytest in this process, which has imported all that takes time; its seed does not stay."""
    before = seeds.session_seed()
    yield lambda *words: pytester.runpytest_inprocess(*OPTIONS, *words)
    seeds.set_session_seed(before)


def test_a_failing_seeded_check_says_the_command_that_repeats_it(
    pytester: pytest.Pytester, run: Callable[..., pytest.RunResult]
) -> None:
    pytester.makepyfile(test_seeds=SEEDED)
    found = run("--flowc-seed", "9")
    text = found.stdout.str()
    assert "flowc seed: 9" in text
    assert text.count("flowc: again") == 1, "of the tests that used the session's seed"
    assert "pytest 'test_seeds.py::test_picks' --flowc-seed 9" in text
    again = run("test_seeds.py::test_picks", "--flowc-seed", "7")
    again.assert_outcomes(passed=1)
    wrong = run("--flowc-seed", "x")
    assert "--flowc-seed takes a number or `random`, not 'x'" in wrong.stderr.str()


def test_workers_of_xdist_draw_the_seed_of_the_process_that_began_them() -> None:
    before = seeds.session_seed()
    try:
        worker: Any = SimpleNamespace(workerinput={}, getoption=lambda _: "random")
        seeds.set_session_seed(11)
        plugin.pytest_configure_node(worker)
        seeds.set_session_seed(0)
        plugin.pytest_configure(worker)
        assert seeds.session_seed() == 11
        plugin.pytest_configure(cast("Any", SimpleNamespace(getoption=lambda _: "random")))
        assert seeds.session_seed() not in (0, 11)
    finally:
        seeds.set_session_seed(before)


def test_no_two_tests_of_a_file_have_the_same_recording() -> None:
    nodes = ("A::test_x", "B::test_x", "test_x", "test_x[a b]", "test_x[a/b]", "test_x[A/B]", "test_x[ä b]")
    names = [plugin.recording_name("test_m", f"tests/test_m.py::{each}") for each in nodes]
    assert len({each.lower() for each in names}) == len(nodes)
    assert names[0] == "test_m.A.test_x"
    long = plugin.recording_name("test_m", f"test_m.py::test_x[{'y' * 500}]")
    assert len(long) < 130


def test_pytest_does_not_take_a_run_for_tests() -> None:
    assert getattr(testing.Tested, "__test__", True) is False


def test_a_recording_is_made_once_and_read_from_then_on(
    pytester: pytest.Pytester, run: Callable[..., pytest.RunResult]
) -> None:
    pytester.makepyfile(test_calls=RECORDED)
    missing = run()
    missing.assert_outcomes(failed=1)
    assert "record it with: pytest 'test_calls.py::test_picks' --flowc-record" in missing.stdout.str()
    run("--flowc-record").assert_outcomes(passed=1)
    assert (pytester.path / "recordings" / "test_calls.test_picks.jsonl").exists()
    run().assert_outcomes(passed=1)


def test_the_plugin_imports_nothing_heavy(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        "import sys\n\ndef pytest_unconfigure(config):\n"
        "    print('loaded', *sorted(name for name in sys.modules if name.startswith('flowc')), flush=True)\n"
        "    print('heavy', *({'hypothesis', 'numpy', 'xdsl', 'attrs', 'llvmlite'} & set(sys.modules)))\n"
    )
    pytester.makepyfile(test_nothing="def test_nothing():\n    pass\n")
    found = pytester.runpytest_subprocess(*OPTIONS, "--co", "-q").stdout.lines
    assert (
        "loaded flowc flowc.testing flowc.testing.flows flowc.testing.flows.seeds flowc.testing.plugin"
        in found
    )
    assert any(line.strip() == "heavy" for line in found)


def test_without_hypothesis_the_rest_works_and_strategies_say_what_to_install() -> None:
    code = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "import importlib.util as u; found = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'hypothesis' else found(name, *a)\n"
        "import flowc.testing as t; t.check; t.never_calls\n"
        "try:\n    t.inputs\nexcept ModuleNotFoundError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "flowc.testing.inputs needs Hypothesis: pip install 'flowc[testing]'", (
        done.stderr
    )
