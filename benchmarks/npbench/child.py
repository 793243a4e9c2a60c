"""One library on one program of NPBench: `python -m benchmarks.npbench.child LIBRARY PROGRAM PRESET`."""

import contextlib
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks import worker
from benchmarks.npbench import programs
from benchmarks.npbench.programs import Program


def main() -> None:
    """Prepares every form of the program that the library has, checks it, and serves."""
    library, name, preset = sys.argv[1:4]
    channel = worker.claim_output()
    folder = programs.checkout()
    assert folder, "FLOWC_NPBENCH names no checkout"
    programs.reachable(folder)
    (program,) = [each for each in programs.load(folder, preset) if each.name == name]
    values = programs.data(program)
    expected = _reference(program, values)
    variants: dict[str, worker.Prepare] = {}
    problems: dict[str, str] = {}
    facts: dict[str, object] = {}
    for form in ("flowc",) if library == "flowc" else programs.FORMS[library]:
        try:
            function = _function(program, form)
            if function is None:
                continue
            prepare = _prepared(program, values, function, _move(library))
            start = time.perf_counter()
            problem = _check(program, prepare, expected)
            facts[f"{form} first call"] = time.perf_counter() - start
        except Exception as error:
            problem = worker.describe(error)
        if problem:
            problems[form] = problem
        else:
            variants[form] = _timed(prepare)
    worker.serve(channel, variants, problems, facts)


Run = Callable[[], tuple[Callable[[], Any], Mapping[str, Any]]]
"""Fresh arguments: the call on them, and they by name."""


def _reference(program: Program, values: Mapping[str, Any]) -> list[Any]:
    function = programs.form(program, "numpy")
    assert function, f"{program.name} has no NumPy form"
    call, arguments = _prepared(program, values, function, np.copy)()
    with np.errstate(all="ignore"):
        return programs.results(program, call(), arguments)


def _function(program: Program, form: str) -> Callable[..., Any] | None:
    if form != "flowc":
        return programs.form(program, form)
    import flowc

    function = programs.form(program, "numpy")
    assert function, f"{program.name} has no NumPy form"
    return flowc.jit(function)


def _move(library: str) -> Callable[[Any], Any]:
    """How a library wants its arrays; each sample gets fresh ones."""
    if library != "jax":
        return np.copy
    import jax

    jax.config.update("jax_enable_x64", True)
    return lambda value: jax.block_until_ready(jax.numpy.array(value))


def _prepared(
    program: Program, values: Mapping[str, Any], function: Callable[..., Any], move: Callable[[Any], Any]
) -> Run:
    """Every array is copied for every run, as NPBench does, since some programs work in place."""

    def prepare() -> tuple[Callable[[], Any], Mapping[str, Any]]:
        fresh = {name: move(values[name]) if name in program.arrays else values[name] for name in names}
        arguments = [fresh[name] for name in program.arguments]
        return lambda: _finished(function(*arguments)), fresh

    names = dict.fromkeys((*program.arguments, *program.arrays))
    return prepare


def _finished(result: Any) -> Any:
    """Waits for JAX, which answers before it has computed."""
    jax = sys.modules.get("jax")
    return jax.block_until_ready(result) if jax else result


def _check(program: Program, prepare: Run, expected: list[Any]) -> str:
    call, arguments = prepare()
    with np.errstate(all="ignore"):
        problem = programs.agree(program, expected, programs.results(program, call(), arguments))
    prepare()[0]()  # a second call, so that what is compiled lazily is compiled
    return problem


def _timed(prepare: Run) -> worker.Prepare:
    return lambda: prepare()[0]


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
