"""Writes docs/ir.md from the operations themselves: `python -m tests.docs.ir_reference`; a test compares."""

import inspect
from collections.abc import Iterable
from pathlib import Path

from xdsl.ir import Attribute, Dialect, Operation
from xdsl.irdl import IRDLOperation
from xdsl.passes import ModulePass

from flowc.dialects import agent, flow, plan
from flowc.dialects.array import Array
from flowc.dialects.loops import Loops
from flowc.passes.kernel_passes import KERNEL_PASSES
from flowc.passes.pipelines import PASSES, PIPELINES

PAGE = Path(__file__).parents[2] / "docs" / "ir.md"

HEAD = """\
# The IR

This page is generated from the source: `python -m tests.docs.ir_reference` writes it, a test compares.

flowc has five dialects on [xDSL](https://xdsl.dev). `flow` says structure and control, `agent` the
outside world, `array` tensor operators, `loops` what kernels need beside xDSL's own loops, `plan` what the
runtime does. `flowc compile FILE --emit=flow`, `opt` or `plan` prints a program in them,
`flowc opt FILE -p PIPELINE` runs the passes below and xDSL's on it.

Every operation verifies what its text says below, names its effects on resources through xDSL's memory-effect
interfaces, keeps through all passes the place in the program that it comes from, and has a reference
semantics, the oracle of passes and back ends: `compiler/reference.py` and `dialects/array/reference.py`.
`labels`, where present, is what may be known about the value: the labels that the checker found.
"""

DIALECTS: tuple[tuple[Dialect, str], ...] = (
    (flow.Flow, "Structure and control of agentic programs."),
    (agent.Agent, "Models, tools, people and plans: the outside world, declared once and called by name."),
    (Array, "Tensor operators with NumPy's shapes and dtypes; `array.kernel` becomes native code."),
    (Loops, "Beside scf, memref and vector: ranges that run on several threads, and stores past the caches."),
    (plan.Plan, "The plan, node by node. Tokens among the inputs are nodes that must end first."),
)


def reference() -> str:
    """The whole page."""
    parts = [HEAD, *(_dialect(dialect, text) for dialect, text in DIALECTS), _passes()]
    return "\n".join(parts)


def _dialect(dialect: Dialect, text: str) -> str:
    lines = [f"## {dialect.name}", "", text, "", "| operation | | effects |", "|---|---|---|"]
    lines += [_operation(op) for op in sorted(dialect.operations, key=lambda op: op.name)]
    lines += ["", "| attribute or type | |", "|---|---|"]
    lines += [_attribute(each) for each in sorted(dialect.attributes, key=lambda each: each.name)]
    return "\n".join(lines) + "\n"


def _operation(op: type[Operation]) -> str:
    return f"| `{op.name}` | {_documentation(op)} | {_effects(op)} |"


def _attribute(attribute: type[Attribute]) -> str:
    return f"| `{attribute.name}` | {_documentation(attribute)} |"


def _documentation(thing: type) -> str:
    text = inspect.cleandoc(thing.__doc__ or "")
    return " ".join(text.split()).replace("|", "\\|")


def _effects(op: type[Operation]) -> str:
    names = {type(trait).__name__ for trait in op.traits} if issubclass(op, IRDLOperation) else set()
    if "DeclaredEffects" in names:
        return "as declared"
    if "RecursiveMemoryEffect" in names:
        return "those inside"
    if "MemoryWriteEffect" in names:
        return "writes memory"
    return "none" if names & {"Pure", "NoMemoryEffect"} else "of its body"


def _passes() -> str:
    lines = ["## Passes", "", "| pass | | levels |", "|---|---|---|"]
    for name, found in sorted(PASSES.items()):
        levels = [
            level for level, passes in PIPELINES.items() if any(isinstance(each, found) for each in passes)
        ]
        lines.append(f"| `{name}` | {_told(name, found)} | {', '.join(levels)} |")
    lines += ["", "The order of each level:", ""]
    lines += [f"- `-{level}`: {', '.join(_named(passes))}" for level, passes in PIPELINES.items()]
    lines += [
        "",
        "The compiler of kernels has passes of its own, in this order:",
        "",
        "| pass | |",
        "|---|---|",
    ]
    lines += [f"| `{name}` | {_told(name, found)} |" for name, found in KERNEL_PASSES.items()]
    return "\n".join(lines) + "\n"


def _named(passes: Iterable[object]) -> list[str]:
    return [str(getattr(each, "name", "")) for each in passes]


def _told(name: str, found: type[ModulePass]) -> str:
    text = inspect.getdoc(inspect.getmodule(found)) or ""
    return " ".join(text.split()).removeprefix(f"{name}: ").replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
