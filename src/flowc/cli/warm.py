"""`flowc warm`: compiles ahead, into the cache that later processes read."""

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

import click

from flowc.cli import arguments, files, options, streams
from flowc.cli.failure import UsageProblem


@click.command("warm")
@click.argument("target", metavar="FILE|MODULE:FUNCTION")
@click.argument("words", nargs=-1, metavar="[NAME=TYPE]...")
@options.level
@options.colour
def command(target: str, words: tuple[str, ...], level: int) -> None:
    """Compile kernels into the cache before they are needed.

    FILE is a .flow program, with all its kernels. MODULE:FUNCTION is a function under @flowc.jit, in a
    module or a .py file; NAME=TYPE gives each argument's type, as in x=f32[n,384] k=int, or the value of one
    that the code is made for.
    """
    if ":" in target:
        _warm_function(target, arguments.split_words(words, "an argument"))
    elif words:
        help = "name a function too, as in kernels.py:gelu x=f32[n]"
        raise UsageProblem("E0689", f"{target} is no function, and takes no types", help=help)
    else:
        _warm_program(target, level)


def _warm_program(path: str, level: int) -> None:
    from flowc.compiler.driver import Options, check_text, compile_checked
    from flowc.compiler.parser import decode

    checked = check_text(decode(files.read_bytes(path), path), path, folder=Path(path).parent)
    compiled = compile_checked(checked, Options(level=level))
    if compiled.kernels is None:
        streams.say(f"{path} has no kernels")
        return
    native = next(timing.milliseconds for timing in compiled.timings if timing.stage == "native")
    names = ", ".join(signature.name for signature in compiled.kernels.signatures)
    done = "were in the cache already" if compiled.kernels.from_cache else f"compiled in {native:.0f} ms"
    streams.say(f"{names}: {done}")


def _warm_function(target: str, types: dict[str, str]) -> None:
    from flowc.compiler.python.jit import Jit

    function = _find(target)
    if not isinstance(function, Jit):
        help = "decorate it with @flowc.jit; kernels of a flow are compiled with the program"
        raise UsageProblem("E0689", f"{target} is no function under @flowc.jit", help=help)
    found = function.specialisation(function.bound((), _examples(target, function, types)))
    done = (
        "was in the cache already" if found.origin == "cache" else f"compiled in {found.milliseconds:.0f} ms"
    )
    streams.say(f"{function.__name__}({', '.join(f'{n}: {t}' for n, t in types.items())}): {done}")


def _examples(target: str, function: Any, types: dict[str, str]) -> dict[str, Any]:
    from flowc.compiler.python.examples import NoExample, example

    extents: dict[str, int] = {}
    given: dict[str, Any] = {}
    for name, text in types.items():
        if name not in function.names:
            help = f"it has {', '.join(function.names) or 'none'}"
            raise UsageProblem("E0689", f"{target} has no parameter `{name}`", help=help)
        try:
            given[name] = example(text, extents)
        except NoExample as error:
            help = str(error)
            raise UsageProblem("E0689", f"`{text}` is no type of an argument", help=help) from None
    missing = [name for name in function.required if name not in given]
    if missing:
        help = f"write {' '.join(f'{name}=f32[n]' for name in missing)}, each with its own type"
        raise UsageProblem("E0689", f"the type of `{missing[0]}` is missing", help=help)
    return given


def _find(target: str) -> Any:
    """The object that `module:name` or `file.py:name` names."""
    place, _, name = target.rpartition(":")
    sys.path.insert(0, str(Path.cwd()))  # as `python -m` does
    try:
        module = _file(Path(place)) if place.endswith(".py") else importlib.import_module(place)
    except (ImportError, OSError, SyntaxError) as error:
        raise UsageProblem("E0689", f"{place} cannot be imported", why=str(error)) from None
    if not hasattr(module, name):
        raise UsageProblem("E0689", f"{place} has no `{name}`", help="name a function that it defines")
    return getattr(module, name)


def _file(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ImportError(f"there is no file {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module
