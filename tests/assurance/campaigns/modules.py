"""Modules of the IR as text and back, as copies, and with one thing in them wrong."""

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from io import StringIO
from random import Random

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.utils.exceptions import ParseError, VerifyException

from flowc.compiler.diagnostics.model import CompileError, Source
from flowc.compiler.opt import parse_ir
from flowc.dialects.array import ShapeError
from flowc.dialects.registry import context
from flowc.dialects.text import IrPrinter, parse_module, print_module
from flowc.testing.oracles.reached import ALL_OPERATIONS, operations
from flowc.testing.strategies.choices import Choices, from_random
from flowc.testing.strategies.modules import (
    drawn_lowering,
    lowered_programs,
    mutated_module,
    mutated_words,
)
from flowc.testing.strategies.operations import drawn_module
from tests.assurance.campaign import Campaign, Tally, Wrong, examples

ROUNDS = 20
CHANGES = 4
"""How often each module is changed, and its text."""

Print = Callable[[ModuleOp], str]


@cache
def everything() -> Context:
    """A context with all dialects."""
    return context(everything=True)


def generic_text(module: ModuleOp) -> str:
    """The text of a module as tools of MLIR write it that know no dialect of ours."""
    out = StringIO()
    IrPrinter(out, print_generic_format=True).print_op(module)
    return out.getvalue()


def read_back(text: str, ctx: Context | None = None) -> ModuleOp:
    """The module that a text describes, verified."""
    module = parse_module(text, ctx=ctx or everything())
    module.verify()
    return module


def holds(module: ModuleOp, *, write: Print = print_module, ctx: Context | None = None) -> str:
    """Checks what must hold of every valid module; gives its text.

    It verifies. Its text, with places and without, and its generic form read back as the same module, of the
    same text. So is its copy.
    """
    ctx = ctx or everything()
    module.verify()
    text = write(module)
    copies = {"text": read_back(text, ctx), "generic form": read_back(generic_text(module), ctx)}
    for what, again in (*copies.items(), ("copy", module.clone())):
        if not again.is_structurally_equivalent(module):
            raise Wrong(f"its {what} is another module:\n{text}")
        if write(again) != text:
            raise Wrong(f"its {what} has another text:\n{text}\n{write(again)}")
    placed = print_module(module, locations=True)
    if any(op.name == "scf.while" for op in module.walk()):  # xDSL cannot read what it writes of its place
        return text
    if (again := print_module(read_back(placed, ctx), locations=True)) != placed:
        raise Wrong(f"its places read back as others:\n{placed}\n{again}")
    return text


@contextmanager
def refused(what: str) -> Iterator[None]:
    """Lets pass what says that a module is not valid, and what xDSL's own operations and parser break on.

    A verifier or an attribute of ours that raises anything else than a refusal is wrong.
    """
    try:
        yield
    except Wrong:
        raise
    except Exception as error:
        if (broken := _broken(error)) is not None:
            raise Wrong(f"{type(broken).__name__}: {broken}\non\n{what}") from broken


def _broken(error: BaseException) -> BaseException | None:
    """What was raised by a dialect of ours and is no refusal, however it was said in the end.

    What parsers raise is said by `parse_ir` in a diagnostic, whatever it is.
    """
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, VerifyException | ParseError | ShapeError | CompileError):
        return None
    frames = traceback.extract_tb(error.__traceback__)
    last = next((frame.filename for frame in reversed(frames) if "/dialects/" in frame.filename), "")
    if "/xdsl/dialects/" in last:
        return None  # an operation of xDSL's within one of ours, as `scf.while` with too few operands
    ours = [
        frame.name for frame in frames if "/dialects/" in frame.filename and "/xdsl/" not in frame.filename
    ]
    return error if ours and not any(name.startswith("parse") for name in ours) else None


def changed(choices: Choices, module: ModuleOp, tally: Tally, ctx: Context) -> None:
    """With one thing changed a module is refused, or holds."""
    mutant = mutated_module(choices, module)
    tally.tried["inputs"] += 1
    with refused(generic_text(mutant)):
        mutant.verify()
        read_back(generic_text(mutant), ctx)
        read_back(print_module(mutant), ctx)


def misspelt(choices: Choices, text: str, tally: Tally) -> None:
    """With a few words changed a text is refused, or is that of a module that holds."""
    other = mutated_words(choices, text)
    tally.tried["inputs"] += 1
    with refused(other):
        read_back(print_module(parse_ir(Source("mutated.mlir", other))))


def check(module: ModuleOp, tally: Tally, choices: Choices, changes: int = CHANGES) -> None:
    """All that is asked of one module."""
    ctx = everything()
    text = holds(module, ctx=ctx)
    tally.tried["modules"] += 1
    tally.texts.update(operations(module))
    for _ in range(changes):
        changed(choices, module, tally, ctx)
        misspelt(choices, text, tally)


def drawn(chance: Random, tally: Tally, rounds: int = ROUNDS) -> None:
    """Modules out of operations of every dialect, each of them in its turn."""
    for _ in range(rounds):
        choices = from_random(chance)
        check(drawn_module(choices, choices.one(ALL_OPERATIONS)), tally, choices)


def kernels(chance: Random, tally: Tally, rounds: int = ROUNDS) -> None:
    """Kernels on their way to machines."""
    for _ in range(rounds):
        choices = from_random(chance)
        check(drawn_lowering(choices), tally, choices, 1)


def programs(chance: Random, tally: Tally, rounds: int = ROUNDS) -> None:
    """Typed programs between two passes."""

    def one(module: ModuleOp, tally: Tally) -> None:
        check(module, tally, from_random(chance), 1)

    examples(lowered_programs(), one, rounds)(chance, tally)


CAMPAIGNS = (
    Campaign("modules", drawn),
    Campaign("modules of kernels", kernels, share=0.5),
    Campaign("modules of programs", programs, share=0.5),
)
