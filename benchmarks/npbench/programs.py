"""NPBench's programs, read from a checkout: what they are called with, their sizes, their forms.

NPBench (Ziogas et al., "NPBench: A Benchmarking Suite for High-Performance NumPy", ICS 2021; licence BSD-3)
is not part of flowc: FLOWC_NPBENCH names a checkout of https://github.com/spcl/npbench.
"""

import importlib
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

FUSED = frozenset(
    (
        "adist", "clipping", "npgofast", "softmax", "mlp", "gemm", "2mm", "3mm", "doitgen", "atax", "bicg",
        "mvt", "gemver", "gesummv", "correlat", "covarian", "covarian2", "azimhist", "hdiff", "heat3d",
        "jacobi1d", "jacobi2d", "fdtd_2d", "cavtflow", "chanflow", "conv2d", "lenet", "resnet"
    )
)  # fmt: skip
"""Elementwise, reduction, matrix product, stencil or convolution throughout: where fusion should win."""

FORMS = {
    "numpy": ("numpy",),
    "numba": ("numba_n", "numba_np", "numba_npr"),
    "jax": ("jax", "jax_lib"),
}
"""The files that NPBench ships for each library; Numba's object mode is plain Python and left out."""


class Program(NamedTuple):
    """One program: `parameters` of the preset, the arguments' names, and how exact a result must be."""

    name: str
    module: str
    function: str
    parameters: Mapping[str, Any]
    initial: tuple[str, Sequence[str], Sequence[str]] | None
    arguments: Sequence[str]
    arrays: Sequence[str]
    written: Sequence[str]
    relative: float
    absolute: float
    norm: float


def checkout() -> Path | None:
    """Where NPBench is."""
    folder = os.environ.get("FLOWC_NPBENCH", "")
    return Path(folder) if folder and Path(folder, "bench_info").is_dir() else None


def load(folder: Path, preset: str) -> list[Program]:
    """All programs of a checkout, by name."""
    return sorted(
        (_program(json.loads(path.read_text())["benchmark"], preset) for path in _descriptions(folder)),
        key=lambda program: program.name,
    )


def _descriptions(folder: Path) -> list[Path]:
    return sorted(Path(folder, "bench_info").glob("*.json"))


def _program(info: Mapping[str, Any], preset: str) -> Program:
    start = info.get("init") or None
    return Program(
        name=info["short_name"],
        module=f"npbench.benchmarks.{info['relative_path'].replace('/', '.')}.{info['module_name']}",
        function=info["func_name"],
        parameters=info["parameters"][preset],
        initial=start and (start["func_name"], start["input_args"], start["output_args"]),
        arguments=info["input_args"],
        arrays=info["array_args"],
        written=info.get("output_args") or (),
        relative=info.get("rtol", 1e-5),
        absolute=info.get("atol", 1e-8),
        norm=info.get("norm_error", 1e-5),
    )


def reachable(folder: Path) -> None:
    """Makes the checkout's modules importable."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def data(program: Program) -> dict[str, Any]:
    """The values by name, as the program's own `initialize` makes them."""
    values = dict(program.parameters)
    if program.initial:
        name, inputs, outputs = program.initial
        made = getattr(importlib.import_module(program.module), name)(*(values[each] for each in inputs))
        values |= dict(zip(outputs, made if len(outputs) > 1 else (made,), strict=True))
    return values


def form(program: Program, name: str) -> Callable[..., Any] | None:
    """A shipped form of the program, or None where there is none. What its import raises passes through."""
    try:
        module = importlib.import_module(f"{program.module}_{name}")
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("npbench."):
            return None
        raise
    function: Callable[..., Any] = getattr(module, program.function)
    return function


def results(program: Program, returned: Any, arguments: Mapping[str, Any]) -> list[Any]:
    """What a run is judged by: what it returned, then the arrays that it should have changed."""
    values = list(returned) if isinstance(returned, (tuple, list)) else [] if returned is None else [returned]
    return values + [arguments[name] for name in program.written]


def agree(program: Program, expected: Sequence[Any], found: Sequence[Any]) -> str:
    """Why the results are not the expected ones; empty when they are, by NPBench's own rule."""
    for index, (want, have) in enumerate(zip(expected, found, strict=False)):
        want, have = np.asarray(want), np.asarray(have)
        if want.shape != have.shape:
            return f"result {index} has shape {have.shape}, not {want.shape}"
        if np.allclose(want, have, rtol=program.relative, atol=program.absolute, equal_nan=True):
            continue
        error = float(np.linalg.norm(want - have) / np.linalg.norm(want))
        if not error < program.norm:
            return f"result {index} is off by {error:.2g}"
    return "" if len(found) >= len(expected) else f"{len(found)} results instead of {len(expected)}"
