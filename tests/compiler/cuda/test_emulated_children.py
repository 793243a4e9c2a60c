"""Programs of emulated kernels are forked from a server, and end as they would in processes of their own."""

import os
import signal
from pathlib import Path

import pytest

from flowc.compiler.backends.cuda import emulated_children
from flowc.compiler.backends.cuda.emulated_children import TIMED_OUT, ServerEnded, run_program


def status_of(text: str, folder: Path, seconds: float = 60) -> tuple[int, str]:
    program = folder / "program.py"
    program.write_text(text)
    status = run_program(program, folder, sanitize=False, seconds=seconds)
    return status, (folder / "said").read_text()


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        ("", 0, ""),
        ("import sys; sys.exit()", 0, ""),
        ("import sys; sys.exit(7)", 7, ""),
        ("import sys; sys.exit('no')", 1, "no\n"),
        ("import os; os._exit(70)", 70, ""),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", -signal.SIGSEGV, ""),
        ("import sys; print(sys.stdin.read() + 'x', sys.argv[0][-10:])", 0, "x program.py\n"),
    ],
)
def test_a_program_ends_as_in_a_process_of_its_own(text: str, status: int, said: str, tmp_path: Path) -> None:
    assert status_of(text, tmp_path) == (status, said)


def test_an_exception_is_told(tmp_path: Path) -> None:
    status, said = status_of("1 / 0", tmp_path)
    assert status == 1
    assert said.endswith("ZeroDivisionError: division by zero\n")


def test_a_program_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    assert status_of("while True: pass", tmp_path, seconds=0.1)[0] == TIMED_OUT


def test_programs_do_not_see_what_others_did(tmp_path: Path) -> None:
    assert status_of("import os, sys; sys.flowc_was_here = True", tmp_path)[0] == 0
    assert status_of("import sys; print(hasattr(sys, 'flowc_was_here'))", tmp_path) == (0, "False\n")


def test_a_server_that_has_died_is_told_once_and_started_anew(tmp_path: Path) -> None:
    assert status_of("", tmp_path)[0] == 0
    server = emulated_children._servers[os.getpid(), False]
    server.kill()
    server.wait()
    with pytest.raises(ServerEnded):
        status_of("", tmp_path)
    assert status_of("", tmp_path)[0] == 0
