"""Flows before and after a pass that simplifies, compared as terms: their values, and whether they fail."""

from collections.abc import Callable, Sequence

import z3
from xdsl.dialects.builtin import ModuleOp

from flowc.dialects.flow.declarations import FuncOp, RecordDeclOp
from flowc.passes.canonicalise import canonicalise
from flowc.passes.constant_fold import constant_fold
from flowc.passes.cse import eliminate_common_subexpressions
from flowc.passes.dce import eliminate_dead_code
from tests.validation.flow_meaning import SORTS, Flow, Term, equal
from tests.validation.flow_trees import INTS, PARAMETERS
from tests.validation.prover import SECONDS, prove

Pass = Callable[[ModuleOp], int]
SIMPLIFYING: Sequence[Pass] = (
    canonicalise, constant_fold, eliminate_common_subexpressions, eliminate_dead_code, canonicalise,
)  # fmt: skip
LENGTHS = (0, 2)
"""Elements of the list that flows take."""


def meaning(module: ModuleOp, length: int) -> tuple[Term, Term]:
    """The value of the flow of a module, and when it fails, for a list of so many elements."""
    arguments = [
        [z3.Int(f"p{n}[{k}]") for k in range(length)] if type_ == INTS else SORTS[type_](f"p{n}")
        for n, type_ in enumerate(PARAMETERS)
    ]
    records = [op for op in module.ops if isinstance(op, RecordDeclOp)]
    reading = Flow(fields=[each.data for record in records for each in record.fields])
    function = next(op for op in module.ops if isinstance(op, FuncOp))
    return reading.result(function, arguments), z3.Or(*reading.fails)


def prove_passes(module: ModuleOp, passes: Sequence[Pass] = SIMPLIFYING, seconds: float = SECONDS) -> int:
    """Runs passes over a module, which each leave it what it means; gives how often they fired."""
    fired, text = 0, str(module)
    for each in passes:
        before = [meaning(module, length) for length in LENGTHS]
        count = each(module)
        module.verify()
        if count:
            for (was, failed), length in zip(before, LENGTHS, strict=True):
                now, fails = meaning(module, length)
                claim = z3.And(failed == fails, z3.Or(failed, equal(was, now)))
                name = f"{each.__name__} on\n{text}\nwhich then is\n{module}\nand"
                prove(claim, name=name, seconds=seconds)
        fired += count
    return fired
