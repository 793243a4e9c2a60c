"""Tools: the Python functions that a program imports, loaded from files beside it."""

import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from flowc.runtime.environment import Environment
from flowc.runtime.errors import FlowError, Problem, fail
from flowc.runtime.plan import Operation, Plan


def load_tools(plan: Plan, environment: Environment) -> Mapping[str, Callable[..., Any]]:
    """The functions behind the tools of a plan: those given, else those of its Python files.

    Raises E0804 where a file cannot be loaded and E0805 where it lacks a function. Tools without a file are
    left out; a plan that calls one cannot be bound.
    """
    functions: dict[str, Callable[..., Any]] = dict(environment.tools)
    for name, operation in plan.operations.items():
        if operation.kind == "tool" and operation.module is not None and name not in functions:
            functions[name] = _load_function(operation, environment.folder or Path())
    return functions


def _load_function(operation: Operation, folder: Path) -> Callable[..., Any]:
    path = (folder / (operation.module or "")).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise fail(
            "E0804",
            f'"{operation.module}" lies outside the folder of the program',
            help="tools are loaded from the program's own folder and those below it",
            line=operation.line,
        )
    module = load_module(path, operation)
    name = operation.function or operation.name
    function = getattr(module, name, None)
    if not callable(function):
        raise fail(
            "E0805",
            f"{operation.module} has no function `{name}`",
            why="the program imports it from there",
            help=f"write `def {name}(...)` in {operation.module}, or correct the import",
            line=operation.line,
        )
    return _undecorated(function)


def _undecorated(function: Any) -> Callable[..., Any]:
    """The plain function inside what `@flowc.tool` made of it."""
    plain: Callable[..., Any] = function
    if type(function).__module__.startswith("flowc."):
        plain = getattr(function, "__wrapped__", function)
    return plain


def load_module(path: Path, operation: Operation) -> ModuleType:
    """Runs a Python file as a module, once for each content of it."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise fail(
            "E0804",
            f"{operation.module} cannot be read",
            why=error.strerror or str(error),
            help="the path is taken from the folder of the program",
            line=operation.line,
        ) from None
    digest = hashlib.sha256(str(path).encode() + content).hexdigest()[:16]
    name = f"flowc_tools_{path.stem}_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise fail("E0804", f"{operation.module} is not a Python file", line=operation.line)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        raise FlowError(_load_failure(operation, error)) from None
    return module


def _load_failure(operation: Operation, error: BaseException) -> Problem:
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    return Problem(
        "E0804",
        f"{operation.module} cannot be loaded",
        why=f"{type(error).__name__}: {error}",
        help=f"install `{missing}` in this environment"
        if missing
        else f"see that `python {operation.module}` runs",
        line=operation.line,
        notes=tuple("".join(traceback.format_exception(error)).splitlines()),
    )
