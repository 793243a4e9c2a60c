"""The decorated function that a kept run was of, found again in its file."""

import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flowc.compiler.python.definitions import Definition, RunOptions
from flowc.compiler.python.execution import Execution
from flowc.runtime.errors import FlowError, fail


def found_again(kept: Mapping[str, Any], program: str | None = None) -> Execution:
    """The function that a run was of, compiled: its file is imported, unless it is already.

    Raises E0928 where it is not to be found.
    """
    path, name = Path(program or kept["path"]), kept["python"]
    value: Any = _module(path)
    for part in name.split("."):
        value = getattr(value, part, None)
    if not isinstance(value, Definition):
        raise lost(path, name, "there is no such decorated function in the file")
    options = RunOptions(
        provider=kept.get("provider"),
        seed=kept.get("seed"),
        optimisation=kept.get("level", 2),
        target=None if kept.get("target", "cpu") == "cpu" else kept["target"],
        answers=kept.get("answers", {}),
    )
    return Execution(value, options)


def _module(path: Path) -> Any:
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file is not None and Path(file).absolute() == path:
            return module
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise lost(path, "", "there is no such file")
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)  # where dataclasses and pickles look for it
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise lost(path, "", f"{type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(path.parent))
    return module


def lost(path: Path, name: str, why: str) -> FlowError:
    """The error for a run whose Python function is not to be found."""
    what = f"`{name}` of {path}" if name else str(path)
    return fail(
        "E0928",
        f"the run is of {what}, which cannot be loaded",
        why=why,
        help="--program FILE names another place; a function inside a function cannot be found again",
    )
