"""What starts quickly imports little; what it imports can be tested, unlike its milliseconds."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from flowc.cli import main

HEAVY = {"xdsl", "lark", "numpy", "llvmlite", "openai", "rich", "asyncio"}


def _command(*arguments: str) -> str:
    return f"""
from flowc.cli import main
try:
    main({list(arguments)!r})
except SystemExit as end:
    assert not end.code
"""


def _imported(code: str, *, cwd: Path | None = None) -> set[str]:
    script = f"import sys\n{code}\nprint('\\n'.join(sys.modules), file=sys.__stderr__)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=cwd)
    return {line.split(".")[0] for line in done.stderr.splitlines()}


def test_the_package_alone_imports_nothing_heavy() -> None:
    assert not _imported("import flowc") & HEAVY


def test_help_imports_nothing_heavy() -> None:
    assert not _imported(_command("--help")) & (HEAVY - {"asyncio"})


def test_check_imports_neither_the_ir_nor_numpy_nor_llvm(tmp_path: Path) -> None:
    (tmp_path / "main.flow").write_text("flow main(x: int) -> int:\n    return x + 1\n")
    code = _command("check", "main.flow")
    assert not _imported(code, cwd=tmp_path) & {"xdsl", "numpy", "llvmlite", "openai"}


PROGRAM = """
from "tools.py" import work

tool work(i: int) -> int pure

kernel double(x: f32[n]) -> f32[n]:
    return x + x

flow main(i: int) -> f32:
    return sum(double([1.0, 2.0])) + f32(work(i))
"""


def test_an_artifact_runs_without_the_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "main.flow").write_text(PROGRAM)
    (tmp_path / "tools.py").write_text("def work(i: int) -> int:\n    return i + 1\n")
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(main, ["compile", "main.flow", "-o", "main.flowc"]).exit_code == 0
    code = _command("run", "main.flowc", "i=1")
    assert not {"xdsl", "lark"} & _imported(code, cwd=tmp_path)
