"""Python programs in forks of a process that has imported the compiler and run nothing: to import it takes
most of the time of a program on an error page. Run by its path, this file is that process."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import types
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path

SECONDS = 60
_AHEAD = (
    "flowc.cli.compile", "flowc.cli.going_on", "flowc.cli.loading", "flowc.cli.program_again",
    "flowc.compiler.backends.cuda", "flowc.compiler.backends.llvm", "flowc.compiler.checker",
    "flowc.compiler.driver", "flowc.compiler.lower", "flowc.compiler.parser",
    "flowc.compiler.python.execution", "flowc.passes.pipelines", "flowc.runtime.durable",
    "flowc.runtime.execute", "flowc.cli.run", "numpy",
)  # fmt: skip


def run_forked(program: Path, environment: Mapping[str, str]) -> tuple[str, int]:
    """What `python program` prints in the program's folder on both streams, and its status."""
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(json.dumps([str(program), dict(environment)]) + "\n")
    server.stdin.flush()
    printed, status = json.loads(server.stdout.readline())
    return printed, status


@cache
def _server() -> "subprocess.Popen[str]":
    """It ends with this process, when nobody is left to ask."""
    return subprocess.Popen(
        [sys.executable, "-P", __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def _serve() -> None:
    for name in _AHEAD:
        import_module(name)
    for line in sys.stdin:
        program, environment = json.loads(line)
        with tempfile.TemporaryFile() as said:
            child = os.fork()
            if not child:
                _become(Path(program), environment, said.fileno())
            _, status = os.waitpid(child, 0)
            said.seek(0)
            print(json.dumps([said.read().decode(), os.waitstatus_to_exitcode(status)]), flush=True)


def _become(program: Path, environment: Mapping[str, str], said: int) -> None:
    """The child's whole life."""
    code = 1
    try:
        signal.alarm(SECONDS)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for place in (1, 2):
            os.dup2(said, place)
        os.chdir(program.parent)
        os.environ.clear()
        os.environ.update(environment)
        code = _run(program)
        sys.stdout.flush()
    finally:
        os._exit(code)


def _run(program: Path) -> int:
    """Runs the file as the main module; gives the status."""
    sys.argv = [program.name]
    sys.path.insert(0, str(program.parent))
    module = types.ModuleType("__main__")
    module.__dict__.update(__file__=program.name, __builtins__=__builtins__)
    sys.modules["__main__"] = module
    try:
        exec(compile(program.read_bytes(), program.name, "exec"), module.__dict__)
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
