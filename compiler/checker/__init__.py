"""Checks a program: names, types, shapes, effects, labels and limits, all errors in one go."""

from pathlib import Path

from flowc.compiler.checker.bodies import check_body
from flowc.compiler.checker.context import Facts, World
from flowc.compiler.checker.declarations import declare
from flowc.compiler.checker.effects import check_effects
from flowc.compiler.checker.imports import bind_imports, warn_unused_imports
from flowc.compiler.checker.label_check import LabelFacts, check_labels
from flowc.compiler.checker.model import BoundCall, Checked, Signature
from flowc.compiler.checker.recursion import call_order
from flowc.compiler.checker.report import Report
from flowc.compiler.diagnostics.model import CompileError, Source
from flowc.compiler.syntax import Program


def check(program: Program, source: Source, *, folder: Path | None = None) -> Checked:
    """Checks a program and gives all that was found out.

    Python imports are resolved in `folder` and read, never run; without a folder they are taken on trust.
    Raises CompileError with every error, in source order.
    """
    report, facts = Report(), Facts()
    world = declare(program, report)
    bind_imports(program, world, report, folder)
    bodies = {
        name: check_body(world, report, facts, signature) for name, signature in world.callables.items()
    }
    order = call_order(world, bodies, report)
    warn_unused_imports(program, bodies, report)
    check_effects(world, bodies, order, report)
    labels = check_labels(world, facts, report)
    return _checked(program, source, world, facts, labels, report)


def _checked(
    program: Program, source: Source, world: World, facts: Facts, labels: LabelFacts, report: Report
) -> Checked:
    if errors := report.errors():
        raise CompileError(source, errors)
    return Checked(
        program,
        source,
        world.records,
        world.enums,
        world.callables,
        facts.types,
        labels.labels,
        facts.calls,
        facts.coercions,
        facts.limits,
        world.chains,
        labels.manifest,
        report.warnings(),
    )


__all__ = ["BoundCall", "Checked", "Signature", "check"]
