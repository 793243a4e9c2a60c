"""Asking z3 for a counterexample: nothing found is a proof, one that is found is printed to be read."""

from collections.abc import Iterable, Mapping

import z3

SECONDS = 60.0
"""How long one question may take; a machine that is loaded takes several times as long as it should."""


class Refuted(AssertionError):
    """What was claimed does not hold; the message has the values for which it does not."""


class Unproved(AssertionError):
    """z3 found neither a proof nor a counterexample in its time."""


def prove(
    claim: z3.BoolRef | bool,
    given: Iterable[z3.BoolRef | bool] = (),
    shown: Mapping[str, z3.ExprRef] | None = None,
    name: str = "what is claimed",
    seconds: float = SECONDS,
) -> None:
    """Holds wherever all of `given` does. Raises Refuted with the values of `shown`, and Unproved where
    z3 gives up.
    """
    solver = z3.Solver()
    solver.set("timeout", int(seconds * 1000))
    solver.add(*given)
    solver.add(z3.Not(claim))
    answer = solver.check()
    if answer == z3.sat:
        raise Refuted(_counterexample(name, solver.model(), shown or {}))
    if answer != z3.unsat:
        raise Unproved(f"{name}: no answer in {seconds:g} s ({solver.reason_unknown()})")


def _counterexample(name: str, model: z3.ModelRef, shown: Mapping[str, z3.ExprRef]) -> str:
    values = shown or {str(each): each() for each in model.decls() if each.arity() == 0}
    width = max(map(len, values), default=0)
    lines = [
        f"  {key:<{width}} = {text_of(model.eval(value, model_completion=True))}"
        for key, value in values.items()
    ]
    return "\n".join([f"{name} does not hold for", *lines])


def text_of(value: z3.ExprRef) -> str:
    """A value as a person writes it: bits as a signed number, floats in decimals.

    >>> text_of(z3.BitVecVal(255, 8)), text_of(z3.FPVal(-0.0, z3.Float32()))
    ('-1', '-0.0')
    """
    if z3.is_bv_value(value):
        return str(value.as_signed_long())
    if z3.is_fp_value(value):
        return _float_text(value)
    return str(value)


def _float_text(value: z3.FPNumRef) -> str:
    if value.isNaN():
        return "nan"
    if value.isInf():
        return "-inf" if value.isNegative() else "inf"
    if value.isZero():
        return "-0.0" if value.isNegative() else "0.0"
    number = z3.simplify(z3.fpToReal(value)).as_fraction()
    return repr(float(number))


def same(before: z3.ExprRef, after: z3.ExprRef, zeros_alike: bool = False) -> z3.BoolRef:
    """Whether two values are one: of floats NaN is NaN, and -0.0 is 0.0 only where `zeros_alike`."""
    if zeros_alike and z3.is_fp(before):
        return z3.Or(before == after, z3.fpEQ(before, after))
    return before == after
