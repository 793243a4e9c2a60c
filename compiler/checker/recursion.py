"""The order of callables by who calls whom, and the refusal of recursion, which would make runs unbounded."""

from collections.abc import Mapping

from flowc.compiler.checker.context import CallMade, World
from flowc.compiler.checker.effects import Body
from flowc.compiler.checker.report import Report


def call_order(world: World, bodies: Mapping[str, Body], report: Report) -> list[str]:
    """The names of `bodies`, each after those it calls; reports every cycle."""
    done: dict[str, bool] = {}
    order: list[str] = []
    for start in bodies:
        path: list[str] = []
        stack = [(start, list(reversed(bodies[start].calls)))] if start not in done else []
        while stack:
            name, calls = stack[-1]
            if name not in done:
                done[name] = False
                path.append(name)
            if not calls:
                stack.pop()
                path.pop()
                done[name] = True
                order.append(name)
                continue
            call = calls.pop()
            if call.callee not in bodies:
                continue
            if call.callee not in done:
                stack.append((call.callee, list(reversed(bodies[call.callee].calls))))
            elif not done[call.callee]:
                _refuse(world, path[path.index(call.callee) :], call, report)
    return order


def _refuse(world: World, cycle: list[str], call: CallMade, report: Report) -> None:
    kind = world.callables[call.callee].kind
    through = " -> ".join(f"`{name}`" for name in (*cycle, call.callee))
    report.error(
        "E0501",
        f"the {kind} `{call.callee}` calls itself",
        call.span,
        why=f"{through}: nothing bounds how often; every program must end",
        help="repeat with `for` or `while ... up to N`",
        causes=((world.callables[call.callee].declaration.header, "declared here"),),
    )
