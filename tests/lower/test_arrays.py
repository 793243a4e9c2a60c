"""Array programs from text to native code: every level gives what the reference and NumPy give."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from attrs import define
from xdsl.dialects.builtin import ModuleOp

from flowc.compiler import driver
from flowc.compiler.reference import evaluate
from flowc.runtime.environment import Environment
from flowc.runtime.execute import run
from flowc.runtime.kernels import Kernel, load
from flowc.runtime.plan import Plan
from tests.passes.flow_text import GeneratedWorld

pytestmark = pytest.mark.usefixtures("unoptimised")

RANDOM = np.random.default_rng(7)
X = RANDOM.standard_normal((5, 4)).astype(np.float32)
Y = RANDOM.standard_normal((3, 4)).astype(np.float32)


def unit(x: Any) -> Any:
    return x / np.sqrt((x * x).sum(axis=1, keepdims=True) + np.float32(1e-6))


def highest(x: Any) -> Any:
    return np.sort(x)[::-1][:2]


KERNELS = """\
kernel unit(x: f32[n, d]) -> f32[n, d]:
    return x / sqrt(sum(x * x, axis=1, keepdims=true) + 1e-6)

kernel cosine(a: f32[m, d], b: f32[n, d]) -> f32[m, n]:
    return unit(a) @ unit(b).T

kernel best(a: f32[m, n], k: int) -> i64[m, k]:
    found = topk(a, k)
    return found.indices

kernel ranked(x: f32[n], k: int) -> tuple[f32[k], i64[k]]:
    doubled = x * 2.0
    return topk(doubled, k)

kernel either(x: f32[n], k: int) -> tuple[f32[2], i64[2]]:
    return topk(x, 2) if k > 1 else topk(x * 2.0, 2)

kernel lowest(x: f32[n]) -> f32[2]:
    values, places = ranked(0.0 - x, 2)
    return values + f32(places) * 0.0

kernel clipped(x: f32[n, d], low: f32, steps: int) -> f32[n, d]:
    low += 0.5
    scaled = maximum(x, low) * steps
    return scaled if low < 1.0 else x

flow rows(x: f32[n, d]) -> f32[n]:
    return sum(unit(x), axis=1)

"""

PROGRAMS = """\
# kernel
flow main(x: f32[n, d], y: f32[m, d]) -> f32[n, m]:
    return cosine(x, y)

# int argument
flow main(x: f32[n, d], k: int) -> i64[n, k]:
    return best(x, k)

# weak scalars
flow main(x: f32[n, d]) -> f32[n, d]:
    return clipped(x, 0.25, 3)

# in a flow
flow main(x: f32[n, d], by: float) -> f32[d]:
    y = x * by + 1
    return mean(y, axis=0)

# slices
flow main(x: f32[n, d], k: int) -> f32[d]:
    part = x[1:k, ::-1]
    return part[-1]

# gather
flow main(x: f32[n, d]) -> f32[d]:
    order = argmax(x, axis=0)
    return sum(x[order], axis=0)

# rows
flow main(x: f32[n, d]) -> list[int]:
    return [int(argmax(row)) for row in x if sum(row) > 0]

# shape
flow main(x: f32[n, d]) -> int:
    return x.shape[0] * 100 + x.shape[1] + len(x) + size(x)

# inlined
flow main(x: f32[n, d]) -> f32[n]:
    return rows(x) + rows(x * 2)

# condition
flow main(x: f32[n, d]) -> str:
    return "big" if max(x) > 1 else "small"

# loop
flow main(x: f32[n, d]) -> f32[n, d]:
    for i in range(3):
        x = x * 0.5 + i
    return x

# made
flow main(n: int) -> f64[n]:
    return zeros(n, dtype="f64") + iota(n) * 2

# one of two tuples
flow main(x: f32[n, d], k: int) -> f32[2]:
    first, places = either(x[0], k)
    second, others = either(x[1], k + 1)
    return first + second + f32(places - others)

# several results
flow main(x: f32[n, d]) -> f32[2]:
    values, places = ranked(x[0], 2)
    return values + f32(places) + lowest(x[1])
"""


def flow(title: str) -> str:
    """The name of the flow of a program."""
    return "main_" + title.replace(" ", "_")


TEXT = KERNELS + "\n\n".join(
    text.replace("flow main(", f"flow {flow(title)}(")
    for title, _, text in (part.partition("\n") for part in PROGRAMS.removeprefix("# ").split("\n\n# "))
)

CASES: dict[str, tuple[dict[str, object], Callable[[], Any]]] = {
    "kernel": ({"x": X, "y": Y}, lambda: unit(X) @ unit(Y).T),
    "int argument": ({"x": X, "k": 2}, lambda: np.argsort(-X, axis=1, kind="stable")[:, :2]),
    "weak scalars": ({"x": X}, lambda: np.maximum(X, np.float32(0.75)) * 3),
    "in a flow": ({"x": X, "by": 2.5}, lambda: (X * np.float32(2.5) + 1).mean(axis=0)),
    "slices": ({"x": X, "k": 4}, lambda: X[1:4, ::-1][-1]),
    "gather": ({"x": X}, lambda: X[X.argmax(axis=0)].sum(axis=0)),
    "rows": ({"x": X}, lambda: [int(row.argmax()) for row in X if row.sum() > 0]),
    "shape": ({"x": X}, lambda: 500 + 4 + 5 + 20),
    "inlined": ({"x": X}, lambda: unit(X).sum(axis=1) + unit(X * 2).sum(axis=1)),
    "condition": ({"x": X}, lambda: "big" if X.max() > 1 else "small"),
    "loop": ({"x": X}, lambda: ((X * 0.5 + 0) * 0.5 + 1) * 0.5 + 2),
    "made": ({"n": 4}, lambda: np.arange(4) * 2.0),
    "one of two tuples": (
        {"x": X, "k": 1},
        lambda: 2 * highest(X[0]) + highest(X[1]) + (np.argsort(-X[0]) - np.argsort(-X[1]))[:2],
    ),
    "several results": ({"x": X}, lambda: highest(2 * X[0]) + np.argsort(-X[0])[:2] + highest(-2 * X[1])),
}


def close(found: Any, wanted: Any) -> None:
    if isinstance(wanted, np.ndarray):
        np.testing.assert_allclose(np.asarray(found, np.float64), wanted, rtol=2e-5, atol=1e-5)
    else:
        assert found == wanted


@define
class Compiled:
    """All programs at a level: the module, the plan, and the kernels to call."""

    module: ModuleOp
    plan: Plan
    kernels: Mapping[str, Kernel]


@pytest.fixture(scope="module", params=[0, 2])
def compiled(request: pytest.FixtureRequest) -> Compiled:
    found = driver.compile_text(TEXT, "arrays.flow", level=request.param)
    module = driver.optimised(found.checked, driver.Options(level=request.param))
    assert found.kernels is not None
    return Compiled(module, found.plan, load(found.kernels.object_code, found.kernels.signatures))


@pytest.mark.parametrize("title", CASES)
def test_array_programs_give_what_numpy_gives(title: str, compiled: Compiled) -> None:
    arguments, wanted = CASES[title]
    outcome = evaluate(compiled.module, flow(title), arguments, GeneratedWorld())
    assert outcome.failure is None
    close(outcome.value, wanted())
    result = run(compiled.plan, flow(title), arguments, environment=Environment(kernels=compiled.kernels))
    assert result.status == "ok", result.problem
    close(result.result, wanted())


def test_a_part_of_a_flow_that_fails_is_called_by_the_flow() -> None:
    text = "flow main(x: f32[n]) -> f32[9]:\n    return topk(x * 2.0, 9).values\n"
    compiled = driver.compile_text(text, "main.flow")
    assert compiled.kernels is not None
    kernels = load(compiled.kernels.object_code, compiled.kernels.signatures)
    result = run(compiled.plan, "main", {"x": X[0]}, environment=Environment(kernels=kernels))
    assert result.problem is not None
    assert (result.problem.code, result.problem.line) == ("E0752", 2)
    assert result.problem.message == "`topk` in flow `main` asks for more than there is"
