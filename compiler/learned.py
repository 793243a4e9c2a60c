"""What earlier runs have shown of a program, looked up before it is compiled."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from attrs import define, evolve, field, frozen
from xdsl.dialects.builtin import ModuleOp

from flowc.compiler.backends.plan.assemble import declarations
from flowc.compiler.diagnostics.model import Diagnostic
from flowc.dialects.agent.calls import EmbedOp
from flowc.passes.cost.call_model import expectations
from flowc.passes.cost.kernel_correction import kernel_expectation
from flowc.passes.cost.learned import keep_expectations, step_place
from flowc.runtime.errors import FlowError, Problem
from flowc.runtime.expectations import Expectations, KernelExpectation, step_key
from flowc.runtime.history.names import ALIAS, embedding_name, operation_name, places
from flowc.runtime.history.store import Past, read, read_kernels
from flowc.runtime.machine import this_machine
from flowc.runtime.plan import Plan

T = TypeVar("T")


@define(eq=False)
class Looked:
    """What was read of a history, by the names that were asked for, or why nothing can be."""

    found: dict[tuple[frozenset[str], ...], Past] = field(factory=dict)
    failed: FlowError | None = None


@frozen
class History:
    """Where samples of earlier runs are kept. What `provider` answered comes before what others did.

    One compilation `looked` things up once: all its passes and plans learn from the same samples.
    """

    path: Path
    provider: str | None = None
    looked: Looked = field(factory=Looked, eq=False, repr=False)


def learn(module: ModuleOp, text: str, history: History) -> tuple[Diagnostic, ...]:
    """Puts onto a module what its history shows; warnings where there is something wrong with that."""
    try:
        found, left_out = _expected(declarations(module), _steps(module, text), _embeddings(module), history)
    except FlowError as error:
        return (as_warning(error.problem),)
    except (ArithmeticError, ValueError) as error:
        return (_absurd(history, f"nothing can be learned from them: {error}"),)
    keep_expectations(module, found)
    if not left_out:
        return ()
    why = f"times or tokens are missing, negative or no numbers; {left_out} left out, the others count"
    return (_absurd(history, why),)


def completed(plan: Plan, history: History) -> Plan:
    """The plan with what its history shows of the operations that passes have made."""
    known = plan.expectations or Expectations()
    new = {name: each for name, each in plan.operations.items() if name not in known.calls}
    if not new:
        return plan
    try:
        found, _ = _expected(evolve(plan, operations=new), {}, {}, history)
    except (FlowError, ArithmeticError, ValueError):
        return plan  # the same was said when the module was looked up
    if not found.calls:
        return plan
    return evolve(plan, expectations=evolve(known, calls={**known.calls, **found.calls}))


def with_kernels(plan: Plan, kernels: ModuleOp, history: History) -> tuple[Plan, tuple[Diagnostic, ...]]:
    """The plan with what calls of its kernels took in earlier runs, and what is wrong with that."""
    seen, notices = kernels_seen(kernels, plan.optimisation, history)
    if not seen:
        return plan, notices
    known = plan.expectations or Expectations()
    return evolve(plan, expectations=evolve(known, kernels=seen)), notices


def kernels_seen(
    kernels: ModuleOp, level: int, history: History
) -> tuple[Mapping[str, KernelExpectation], tuple[Diagnostic, ...]]:
    """What calls of kernels took on this machine, by name, and what is wrong with the history beyond what was
    said when the rest of it was read.
    """
    if history.looked.failed is not None or kernels.body.block.first_op is None:
        return {}, ()
    from flowc.compiler.backends.llvm import kernels_of
    from flowc.compiler.backends.llvm.key import kernel_code, kernel_text

    names = {op.sym_name.data: kernel_code(kernel_text(op), level) for op in kernels_of(kernels)}
    try:
        past, left_out = read_kernels(history.path, names.values(), this_machine())
    except FlowError as error:
        history.looked.failed = error
        return {}, (as_warning(error.problem),)
    found = {name: kernel_expectation(past[code]) for name, code in names.items() if code in past}
    why = f"times or sizes are missing, negative or no numbers; {left_out} left out, the others count"
    return found, (_absurd(history, why),) if left_out else ()


def _expected(
    plan: Plan, steps: dict[str, str], embeddings: dict[str, str], history: History
) -> tuple[Expectations, int]:
    """The expectations of some operations and steps, and how many samples were left out."""
    operations = {name: (operation_name(each, plan), each) for name, each in plan.operations.items()}
    aliases = {each.model or ALIAS for each in plan.operations.values() if each.kind == "llm"}
    names = {name for name, _ in operations.values()} | set(embeddings.values())
    past = _read(history, names, aliases, steps.values())
    if past == Past():
        return Expectations(), 0
    return expectations(operations, embeddings, steps, past, history.provider), past.left_out


def _read(history: History, names: Iterable[str], aliases: Iterable[str], steps: Iterable[str]) -> Past:
    """What a history has of these; read once, and waited for once where it cannot be read."""
    looked = history.looked
    if looked.failed is not None:
        raise looked.failed
    key = frozenset(names), frozenset(aliases), frozenset(steps)
    for asked, past in looked.found.items():
        if all(some <= every for some, every in zip(key, asked, strict=True)):
            return Past(
                _only(past.calls, key[0]),
                _only(past.models, key[1]),
                _only(past.steps, key[2]),
                past.left_out,
            )
    try:
        past = looked.found[key] = read(history.path, *key)
    except FlowError as error:
        looked.failed = error
        raise
    return past


def _only(table: Mapping[str, tuple[T, ...]], names: frozenset[str]) -> dict[str, tuple[T, ...]]:
    return {name: rows for name, rows in table.items() if name in names}


def _steps(module: ModuleOp, text: str) -> dict[str, str]:
    """The names in the history of all steps of control flow, by their key in the plan."""
    where = places(text)
    found = (place for op in module.walk() if (place := step_place(op)) is not None)
    return {step_key(*place): name for place in found if (name := where.name(*place))}


def _embeddings(module: ModuleOp) -> dict[str, str]:
    """The names in the history of calls for vectors, by the alias of their model."""
    found: dict[str, str] = {}
    for op in module.walk():
        if isinstance(op, EmbedOp):
            chosen = None if op.model is None else op.model.value
            alias = chosen if isinstance(chosen, str) else ALIAS
            found[alias] = embedding_name(alias)
    return found


def as_warning(problem: Problem) -> Diagnostic:
    """A problem that ends nothing."""
    return Diagnostic(problem.code, problem.message, why=problem.why, help=problem.help, severity="warning")


def _absurd(history: History, why: str) -> Diagnostic:
    return Diagnostic(
        "E0902",
        f"the history {history.path} has samples that no run can have written",
        why=why,
        help="`flowc tune --forget` begins a new history",
        severity="warning",
    )
