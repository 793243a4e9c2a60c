"""Long programs: what compiling them takes grows with their length, and cutting them changes no result."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from flowc.compiler.backends import llvm
from flowc.compiler.backends.llvm import Options, compile_kernels
from flowc.compiler.python.definitions import Definition
from flowc.dialects.array.types import ShapeError
from flowc.passes.array_to_loops import groups, reductions, sweeps, tiles, tiling
from flowc.runtime.kernels import load
from flowc.testing.strategies.kernels import Program, programs
from tests.passes.test_array_groups import compare

pytestmark = pytest.mark.usefixtures("unoptimised")

X = np.linspace(-1, 1, 21 * 34, dtype=np.float32).reshape(21, 34)

CHAINS = {
    "elementwise": ("np.tanh({0}) * {1} + {2}", "{0} - 0.5 * {2}", "np.maximum({0}, {1}) / 3"),
    "rows": (
        "{0} - np.mean({0}, axis=1, keepdims=True)",
        "np.maximum({0}, {2}) * 0.5",
        "{0} / (np.sum({0} * {0}, axis=1, keepdims=True) + 1.0)",
    ),
    "columns": ("{0} - np.mean({0}, axis=0)", "{0} * 0.5 + {1}", "{0} / (1.0 + np.sum({0} * {0}))"),
}


def chain(kind: str, length: int, folder: Path) -> Any:
    """A function of so many statements, each of which reads the ones before it."""
    names, lines = ["x", "x", "x"], []
    for number in range(length):
        text = CHAINS[kind][number % 3].format(names[-1], names[-2], names[-3])
        lines.append(f"    v{number} = {text}")
        names.append(f"v{number}")
    path = folder / f"{kind}{length}.py"
    path.write_text(
        "import numpy as np\nimport flowc\n\n\n@flowc.jit\ndef f(x):\n"
        + "\n".join(lines)
        + f"\n    return {names[-1]} + {names[-2]}\n"
    )
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.f


@pytest.fixture
def short_loops(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Loops and groups that take little, in many chunks and tiles."""
    with monkeypatch.context() as patch:
        for module, name, value in (
            (groups, "MOST_LOOPS", 1),
            (sweeps, "MOST_TOGETHER", 2),
            (tiling, "MOST_TOGETHER", 2),
            (tiling, "CHUNK_PICOSECONDS", 1),
            (tiles, "SMALL_PICOSECONDS", 0),
            (tiling, "TILE", 4),
            (reductions, "BLOCK", 4),
        ):
            patch.setattr(module, name, value)
        yield


DECIDES = Options.__dict__["decides"]
"""As it is where the cost model decides about kernels: that too must take its time in proportion."""


class Written(Exception):
    """The text of a module, instead of its code."""


def effort(function: Definition[..., Any], monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """How many calls of Python functions it takes to write a function's LLVM IR, and its lines."""
    calls = 0

    def counted(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    def written(text: str, *_: object) -> None:
        raise Written(text)

    with monkeypatch.context() as patch:
        patch.setattr(llvm, "assemble", written)
        patch.setattr(Options, "decides", DECIDES)
        sys.setprofile(counted)
        try:
            function(X)
        except Written as found:
            return calls, str(found).count("\n")
        finally:
            sys.setprofile(None)
    raise AssertionError("nothing was compiled")


LENGTHS = (40, 160) if settings.get_current_profile_name() == "long" else (20, 80)
"""Statements of two programs."""


@pytest.mark.alike(2)
@pytest.mark.parametrize("kind", CHAINS)
def test_four_times_as_many_statements_take_about_four_times_as_much(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOWC_CACHE_DIR", str(tmp_path))
    effort(chain(kind, 3, tmp_path), monkeypatch)  # what is imported and remembered once
    few, many = (effort(chain(kind, length, tmp_path), monkeypatch) for length in LENGTHS)
    assert many[0] < 5 * few[0]
    assert many[1] < 5 * few[1]


@pytest.mark.usefixtures("short_loops")
@pytest.mark.parametrize("kind", CHAINS)
def test_a_chain_that_is_cut_anywhere_gives_what_numpy_gives(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOWC_CACHE_DIR", str(tmp_path / "cache"))
    f = chain(kind, 12, tmp_path)
    for x in (X, X[:1], X[:, :1], X.T):
        np.testing.assert_allclose(f(x), f.function(x.astype(np.float64)), rtol=2e-4, atol=2e-4)


@pytest.mark.usefixtures("short_loops")
@settings(
    max_examples=max(settings.default.max_examples // 4, 1) if settings.default else 10,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(programs())
def test_programs_cut_anywhere_give_what_the_reference_gives(program: Program) -> None:
    try:
        code = compile_kernels(program.module, Options(cached=False))
    except ShapeError:
        return
    compare(program.kernel, load(code.object_code, code.signatures)["k"], program.arguments)
