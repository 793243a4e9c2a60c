"""Checks a program: names, types, shapes, effects, labels and limits, all errors in one go."""

from collections.abc import Mapping
from pathlib import Path

from flowc.compiler.checker.bodies import check_body
from flowc.compiler.checker.context import Facts
from flowc.compiler.checker.declarations import declare
from flowc.compiler.checker.effects import check_effects
from flowc.compiler.checker.model import BoundCall, Checked, Signature
from flowc.compiler.checker.recursion import call_order
from flowc.compiler.checker.report import Report
from flowc.compiler.diagnostics.model import CompileError, Source
from flowc.compiler.syntax import Program


def check(
    program: Program,
    source: Source,
    *,
    folder: Path | None = None,
    python: Mapping[str, object] | None = None,
) -> Checked:
    """Checks a program and gives all that was found out.

    Python imports are resolved in `folder` and read, never run; without a folder they are taken on trust. `python`
    names tools that are bound to Python objects already. Raises CompileError with every error, in source order.
    """
    report, facts = Report(), Facts()
    world = declare(program, report)
    bodies = {
        name: check_body(world, report, facts, signature) for name, signature in world.callables.items()
    }
    check_effects(world, bodies, call_order(world, bodies, report), report)
    if errors := report.errors():
        raise CompileError(source, errors)
    return Checked(
        program,
        source,
        world.records,
        world.enums,
        world.callables,
        facts.types,
        {},
        facts.calls,
        facts.coercions,
        facts.limits,
        world.chains,
        (),
        report.warnings(),
    )


__all__ = ["BoundCall", "Checked", "Signature", "check"]
