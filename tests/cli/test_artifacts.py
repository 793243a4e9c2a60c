"""Artifacts run without the compiler, carry what they need, and are refused when anything in them changed."""

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowc.cli import main

PROGRAM = """\
from "tools.py" import double

tool double(x: float) -> float pure

kernel scaled(x: f32[n], by: f32) -> f32[n]:
    return x * by + 1.0

flow main(x: f32[n], by: float) -> f32[n]:
    return scaled(x, f32(double(by)))
"""
TOOLS = "def double(x: float) -> float:\n    return 2 * x\n"
ARGUMENTS = ("x=[1.0, 2.0]", "by=1.5")


def flowc(*words: str) -> Result:
    return CliRunner().invoke(main, words)


@pytest.fixture
def artifact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "main.flow").write_text(PROGRAM)
    (tmp_path / "tools.py").write_text(TOOLS)
    done = flowc("compile", "main.flow", "-o", "main.flowc")
    assert done.exit_code == 0, done.output
    return tmp_path / "main.flowc"


def test_an_artifact_gives_what_its_program_gives(artifact: Path) -> None:
    assert flowc("run", "main.flowc", *ARGUMENTS).stdout == flowc("run", "main.flow", *ARGUMENTS).stdout
    assert flowc("graph", "main.flowc").stdout == flowc("graph", "main.flow").stdout


def test_compiling_twice_gives_equal_bytes(artifact: Path) -> None:
    first = artifact.read_bytes()
    flowc("compile", "main.flow", "-o", "again.flowc")
    assert (artifact.parent / "again.flowc").read_bytes() == first


def test_running_an_artifact_imports_neither_xdsl_nor_lark(artifact: Path) -> None:
    code = (
        "import sys\nfrom flowc.cli import main\n"
        f"main(['run', 'main.flowc', *{list(ARGUMENTS)!r}], standalone_mode=False)\nprint(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert "[4. 7.]" in done.stdout
    assert not {"xdsl", "lark"} & {name.split(".")[0] for name in done.stdout.split()}


def test_an_artifact_carries_its_tools(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(artifact.parent / "cache"))
    (artifact.parent / "tools.py").write_text("def double(x: float) -> float:\n    return 1000 * x\n")
    assert "[4. 7.]" in flowc("run", "main.flowc", *ARGUMENTS).stdout
    (artifact.parent / "tools.py").unlink()
    assert "[4. 7.]" in flowc("run", "main.flowc", *ARGUMENTS).stdout


def rewritten(artifact: Path, member: str, change: bytes) -> None:
    """Replaces one member, leaving the manifest as it was."""
    with zipfile.ZipFile(artifact) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    contents[member] = change
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    artifact.write_bytes(buffer.getvalue())


@pytest.mark.parametrize(
    "member",
    ["plan.json", "kernels/baseline.o", "kernels/signatures.json", "source/tools.py", "source/main.flow"],
)
def test_a_changed_member_is_refused(artifact: Path, member: str) -> None:
    rewritten(artifact, member, b"changed")
    done = flowc("run", "main.flowc", *ARGUMENTS)
    assert done.exit_code == 1
    assert "error[E0641]" in done.stderr


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [("format", 99, "E0642"), ("target", "vax-vms", "E0643"), ("members", [], "E0641")],
)
def test_a_foreign_manifest_is_refused(artifact: Path, key: str, value: object, code: str) -> None:
    with zipfile.ZipFile(artifact) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    rewritten(artifact, "manifest.json", json.dumps(manifest | {key: value}).encode())
    done = flowc("run", "main.flowc", *ARGUMENTS)
    assert done.exit_code == 1
    assert f"error[{code}]" in done.stderr


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_damage_ends_in_a_diagnostic_or_changes_nothing(artifact: Path, data: st.DataObject) -> None:
    whole = artifact.read_bytes()
    cut = data.draw(st.integers(0, len(whole) - 1))
    damaged = data.draw(
        st.sampled_from([whole[:cut], whole[:cut] + bytes([whole[cut] ^ 0xFF]) + whole[cut + 1 :]])
    )
    broken = artifact.parent / "broken.flowc"
    broken.write_bytes(damaged)
    done = flowc("run", "broken.flowc", *ARGUMENTS)
    assert "Traceback" not in done.output
    assert (done.exit_code == 1 and "error[E064" in done.stderr) or "[4. 7.]" in done.stdout
