"""What programs on error pages import, ahead of their forks (`tests/forked.py`); one that runs `python -m
flowc` in a process of its own gets a fork as well."""

import os
import subprocess
from collections.abc import Sequence
from importlib import import_module
from typing import Any

_MODULES = (
    "flowc.cli.compile", "flowc.cli.going_on", "flowc.cli.loading", "flowc.cli.program_again",
    "flowc.cli.run", "flowc.compiler.backends.cuda", "flowc.compiler.backends.llvm",
    "flowc.compiler.checker", "flowc.compiler.driver", "flowc.compiler.lower", "flowc.compiler.parser",
    "flowc.compiler.python.execution", "flowc.passes.pipelines", "flowc.runtime.durable",
    "flowc.runtime.execute", "numpy",
)  # fmt: skip

for _name in _MODULES:
    import_module(_name)


def fork_flowc() -> None:
    """Has `subprocess.run` fork this process for `python -m flowc` of which nobody hears."""
    start = subprocess.run

    def run(command: Sequence[str], **how: Any) -> Any:
        if list(command[1:3]) != ["-m", "flowc"] or how != _UNHEARD:
            return start(command, **how)
        if not (child := os.fork()):
            _become_flowc(list(command[3:]))
        return subprocess.CompletedProcess(command, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    subprocess.run = run  # type: ignore[assignment]


_UNHEARD = {"stdin": subprocess.DEVNULL, "capture_output": True}


def _become_flowc(words: list[str]) -> None:
    from flowc.cli import main

    code: object = 1
    try:
        nothing = os.open(os.devnull, os.O_RDWR)
        for place in (0, 1, 2):
            os.dup2(nothing, place)
        main(words)
    except SystemExit as end:
        code = end.code or 0
    finally:
        os._exit(code if isinstance(code, int) else 1)
