"""Each pass on programs that somebody would write: before, the program; after, the IR.

A fixture file is named for its pass. A case is a title, a program, `=>`, and the flows of the module after
the pipeline of the file (its first line) and the pass. `pytest --update` rewrites what stands behind `=>`.
"""

from pathlib import Path

import pytest
from attrs import frozen
from xdsl.dialects.builtin import ModuleOp

from flowc.compiler import driver
from flowc.dialects.array.kernel import KernelOp
from flowc.dialects.flow.declarations import FuncOp
from flowc.dialects.text import IrPrinter
from flowc.passes.pipelines import PASSES, optimise, parse_pipeline

FOLDER = Path(__file__).parent / "fixtures"
TITLE = "# title: "
ARROW = "=>"


@frozen
class Case:
    """One before and after."""

    file: Path
    before_pipeline: str
    title: str
    program: str
    after: str


def read(file: Path) -> list[Case]:
    """The cases of a fixture file."""
    head, *parts = file.read_text("utf-8").split(TITLE)
    pipeline = head.removeprefix("# after:").strip()
    cases = []
    for part in parts:
        title, _, rest = part.partition("\n")
        program, _, after = rest.partition(f"\n{ARROW}\n")
        cases.append(Case(file, pipeline, title, program.strip() + "\n", after.strip()))
    return cases


def write(file: Path, cases: list[Case], results: list[str]) -> None:
    """Writes a fixture file with new results."""
    parts = [f"# after: {cases[0].before_pipeline}".strip() + "\n"]
    for case, result in zip(cases, results, strict=True):
        parts.append(f"{TITLE}{case.title}\n{case.program}{ARROW}\n{result}\n")
    file.write_text("\n".join(parts), "utf-8")


def printed(module: ModuleOp) -> str:
    """The flows and the outlined kernels of a module."""
    from io import StringIO

    texts = []
    for op in module.ops:
        if isinstance(op, FuncOp) or (isinstance(op, KernelOp) and "." in op.sym_name.data):
            out = StringIO()
            IrPrinter(out).print_op(op)
            texts.append(out.getvalue())
    return "\n".join(texts)


def result_of(case: Case) -> tuple[str, int]:
    """The IR after the pass, and how often it fired."""
    module = driver.lowered(driver.check_text(case.program, "main.flow"), driver.Options())
    optimise(module, parse_pipeline(case.before_pipeline))
    done = optimise(module, parse_pipeline(case.file.stem))
    return printed(module), done.statistics[0].fired


FILES = sorted(FOLDER.glob("*.flow-ir"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_pass_fires_and_gives_what_the_fixture_says(file: Path, request: pytest.FixtureRequest) -> None:
    cases = read(file)
    assert cases
    results = [result_of(case) for case in cases]
    for case, (_, fired) in zip(cases, results, strict=True):
        assert fired > 0 or "stays" in case.title, f"{file.stem} did nothing for: {case.title}"
    if request.config.getoption("--update"):
        write(file, cases, [text for text, _ in results])
        return
    for case, (text, _) in zip(cases, results, strict=True):
        assert text == case.after, case.title


def test_every_pass_has_a_fixture() -> None:
    tested_elsewhere = {"outline-kernels"}
    assert {file.stem for file in FILES} == set(PASSES) - tested_elsewhere
