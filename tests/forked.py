"""Python programs in forks of a process that has run what they begin with, mostly imports, and nothing else:
that takes most of the time of a short program. Run by its path, this file is that process.

A fork ends as Python ends, threads, finalizers and all, unless it is told to leave at once. That a program
itself imports all that it needs does not show in one: examples for readers run in processes of their own.
"""

import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
import types
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

SECONDS = 100
COMMANDS = "import flowc.cli.compile, flowc.cli.run, flowc.compiler.driver, flowc.runtime.execute, numpy"
"""What runs ahead of the commands that compile and run."""
_MEMORY = {"MALLOC_CHECK_": "3", "MALLOC_PERTURB_": "165"}
"""The C library looks after its memory, and fills what is new or given back."""


class Done(NamedTuple):
    """How a program ended, and what it wrote."""

    status: int
    out: str
    err: str


def run_forked(
    text: str,
    words: tuple[str, ...] = ("-c",),
    *,
    ahead: str,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    out: Path | None = None,
    together: bool = False,
    at_once: bool = False,
) -> Done:
    """Runs a program as `python` does, in a fork of a process that has run the text `ahead`.

    `words` are its name and arguments; `out` is a file for what it prints, and `together` sends all of it
    there, in order. A program that hangs dies of SIGALRM; `at_once` leaves it without Python's own end.
    """
    server = _server(ahead)
    assert server.stdin is not None
    assert server.stdout is not None
    with tempfile.TemporaryDirectory(prefix="flowc-forked-") as name:
        said, told = out or Path(name, "out"), Path(name, "err")
        asked = {
            "text": text,
            "words": words,
            "folder": str(folder or Path.cwd()),
            "environment": dict(os.environ if environment is None else environment),
            "out": str(said),
            "err": str(said if together else told),
            "at_once": at_once,
        }
        server.stdin.write(json.dumps(asked) + "\n")
        server.stdin.flush()
        status = int(server.stdout.readline())
        return Done(status, "" if out else said.read_text(), "" if together else told.read_text())


@cache
def _server(ahead: str) -> "subprocess.Popen[str]":
    """It ends with this process, when nobody is left to ask."""
    return subprocess.Popen(
        [sys.executable, "-P", __file__, ahead],
        cwd=Path(__file__).parents[1],
        env=os.environ | _MEMORY | {"PYTHONPATH": str(Path(__file__).parents[1])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _serve() -> None:
    exec(sys.argv[1], {"__name__": "ahead"})
    gc.freeze()  # forks share what is there, and need not look for garbage in it
    for line in sys.stdin:
        child = os.fork()
        if not child:
            _become(**json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _become(
    text: str,
    words: list[str],
    folder: str,
    environment: Mapping[str, str],
    out: str,
    err: str,
    at_once: bool,
) -> None:
    """The child's whole life."""
    signal.alarm(SECONDS)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for place, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), place)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = words
    code = _run(text, words[0])
    if at_once:
        sys.stdout.flush()
        os._exit(code)
    sys.exit(code)


def _run(text: str, name: str) -> int:
    """Runs the text as the main module; gives the status."""
    module = types.ModuleType("__main__")
    module.__dict__.update(__file__=name, __builtins__=__builtins__)
    sys.modules["__main__"] = module
    sys.path.insert(0, str(Path.cwd()))
    try:
        exec(compile(text, name, "exec"), module.__dict__)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except BaseException as error:
        after = error.__traceback__.tb_next if error.__traceback__ else None
        sys.excepthook(type(error), error.with_traceback(after), after)
        return 1
    return 0


if __name__ == "__main__":
    _serve()
