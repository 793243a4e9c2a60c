"""Simplifications of flows: each rule on a flow for which it is made, and all of them on flows drawn at
random, keep what flows give, and whether they fail, for all ints, texts and bools.
"""

from random import Random

import pytest
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.ir import SSAValue

from flowc.dialects.flow import compute, control
from flowc.dialects.flow.declarations import RecordDeclOp
from flowc.dialects.flow.types import RecordType
from flowc.passes.canonicalise import canonicalise
from flowc.passes.constant_fold import constant_fold
from flowc.passes.cse import eliminate_common_subexpressions
from flowc.passes.dce import eliminate_dead_code
from tests.validation.flow_rules import Pass, prove_passes
from tests.validation.flow_trees import BOOL, INT, INTS, STR, SURE, Body, Builder, drawn, flow

Values = list[SSAValue]


def number(b: Builder, value: int) -> SSAValue:
    return b.add(compute.ConstantOp(value, INT))


def truth(b: Builder, value: bool) -> SSAValue:
    return b.add(compute.ConstantOp(value, BOOL))


def branch(b: Builder, condition: SSAValue, first: SSAValue, second: SSAValue) -> SSAValue:
    """A branch that hands on two values, of which the second one is wanted."""

    def side(value: SSAValue) -> Body:
        return lambda inner, _: inner.apply("floordiv", [value, value], INT)

    sides = [b.region(lambda inner, v=v: [side(v)(inner, []), v]) for v in (first, second)]
    op = control.IfOp(condition, [INT, INT], *sides)
    b.add(op)
    return op.res[1]


def known_branch(b: Builder, p: Values) -> SSAValue:
    return branch(b, truth(b, False), p[0], p[1])


def unused_result(b: Builder, p: Values) -> SSAValue:
    return branch(b, p[2], p[0], p[1])


def cheap_branch(b: Builder, p: Values) -> SSAValue:
    sides = [b.region(lambda inner, n=n: [inner.apply("add", [p[0], number(inner, n)], INT)]) for n in (1, 2)]
    return b.add(control.IfOp(p[2], [INT], *sides))


def branch_that_is_its_condition(b: Builder, p: Values) -> SSAValue:
    sides = [b.region(lambda inner, v=v: [truth(inner, v)]) for v in (True, False)]
    return b.add(control.IfOp(p[2], [BOOL], *sides))


def known_choice(b: Builder, p: Values) -> SSAValue:
    return b.add(compute.SelectOp(truth(b, True), p[0], p[1]))


def choice_of_one(b: Builder, p: Values) -> SSAValue:
    return b.add(compute.SelectOp(p[2], p[0], p[0]))


def choice_that_is_its_condition(b: Builder, p: Values) -> SSAValue:
    return b.add(compute.SelectOp(p[2], truth(b, True), truth(b, False)))


def choice_of_optionals(b: Builder, p: Values) -> SSAValue:
    """Looks like its condition, but is a value that might have been none."""
    sure = [b.add(compute.ConstantOp(value, SURE)) for value in (True, False)]
    chosen = b.add(compute.SelectOp(p[2], *sure))
    picked = b.add(compute.TupleOp([b.add(compute.SelectOp(p[3], chosen, sure[0])), truth(b, True)]))
    return b.add(compute.TupleOp([b.add(compute.ItemOp(picked, 0)), b.add(compute.ItemOp(picked, 1))]))


def branch_of_optionals(b: Builder, p: Values) -> SSAValue:
    sides = [b.region(lambda inner, v=v: [inner.add(compute.ConstantOp(v, SURE))]) for v in (True, False)]
    return b.add(control.IfOp(p[2], [SURE], *sides))


def twice_not(b: Builder, p: Values) -> SSAValue:
    return b.apply("not", [b.apply("not", [p[2]], BOOL)], BOOL)


def packed(b: Builder, p: Values) -> SSAValue:
    return b.add(compute.ItemOp(b.add(compute.TupleOp([p[0], p[1]])), 1))


def listed(b: Builder, p: Values) -> SSAValue:
    items = b.add(compute.ListOp([p[0], p[1]], INTS))
    found = [b.apply("get_item", [items, number(b, at)], INT) for at in (0, -1, -2, 2)]
    return b.add(compute.TupleOp([*found, b.apply("len", [items], INT)]))


def mapped(b: Builder, p: Values) -> SSAValue:
    body = b.region(lambda inner: [inner.apply("add", [inner.place.args[0], p[0]], INT)], (INT,))
    made = b.add(control.MapOp([p[5]], INT, body, width=4))
    return b.apply("len", [made], INT)


def field_of_a_record(b: Builder, p: Values) -> SSAValue:
    pair = b.add(compute.RecordOp([p[0], p[1]], RecordType(StringAttr("Pair"))))
    return b.add(compute.FieldOp(pair, "right", INT))


def there_and_back(b: Builder, p: Values) -> SSAValue:
    sure = b.add(compute.CastOp(p[2], SURE))
    return b.add(compute.CastOp(b.add(compute.CastOp(sure, BOOL)), BOOL))


def sure_attempt(b: Builder, p: Values) -> SSAValue:
    sides = [b.region(lambda inner, k=k: [inner.apply("add", [p[0], p[k]], INT)]) for k in (0, 1)]
    return b.add(control.AttemptOp([INT], *sides))


def attempt_that_may_fail(b: Builder, p: Values) -> SSAValue:
    """Stays."""
    sides = [b.region(lambda inner, f=f: [inner.apply(f, [p[0], p[1]], INT)]) for f in ("floordiv", "add")]
    tried = b.add(control.AttemptOp([INT], *sides))
    return b.add(compute.SelectOp(truth(b, True), tried, tried))


def carried_in_vain(b: Builder, p: Values) -> SSAValue:
    def body(inner: Builder) -> Values:
        x, same, total = inner.place.args
        return [
            truth(inner, False),
            same,
            inner.apply("add", [total, inner.apply("mul", [x, same], INT)], INT),
        ]

    op = control.ForOp(p[5], [p[0], p[1]], b.region(body, (INT, INT, INT)))
    b.add(op)
    return b.add(compute.TupleOp(list(op.res)))


def turned_round(b: Builder, p: Values) -> SSAValue:
    pairs = [(name, BOOL if name in ("eq", "ne") else INT) for name in ("add", "mul", "eq", "ne")]
    both = [b.apply(name, [p[x], p[y]], type_) for name, type_ in pairs for x, y in ((0, 1), (1, 0))]
    return b.add(compute.TupleOp(both))


def texts_turned_round(b: Builder, p: Values) -> SSAValue:
    """The order of texts counts."""
    again = b.apply("add", [p[4], b.add(compute.ConstantOp("a", STR))], STR)
    a = b.add(compute.ConstantOp("a", STR))
    return b.add(compute.TupleOp([b.apply("add", [p[4], a], STR), b.apply("add", [a, p[4]], STR), again]))


def constants(b: Builder, p: Values) -> SSAValue:
    seven, minus = number(b, 7), number(b, -2)
    names = ("add", "sub", "mul", "floordiv", "lt", "eq")
    found = [b.apply(name, [seven, minus], BOOL if name in ("lt", "eq") else INT) for name in names]
    return b.add(compute.TupleOp(found))


def division_by_a_zero_that_is_known(b: Builder, p: Values) -> SSAValue:
    """Fails when it runs, and is left."""
    three = b.apply("add", [number(b, 1), number(b, 2)], INT)
    return b.apply("floordiv", [three, number(b, 0)], INT)


def unread(b: Builder, p: Values) -> SSAValue:
    """What cannot fail goes, what can stays."""
    b.apply("add", [p[0], p[1]], INT)
    b.apply("floordiv", [p[0], p[1]], INT)
    return p[0]


RULES: list[tuple[Pass, Body]] = [
    *((canonicalise, each) for each in (
        known_branch, unused_result, cheap_branch, branch_that_is_its_condition, known_choice, choice_of_one,
        choice_that_is_its_condition, choice_of_optionals, branch_of_optionals, twice_not, packed, listed,
        mapped, field_of_a_record, there_and_back, sure_attempt, attempt_that_may_fail, carried_in_vain,
    )),
    *((constant_fold, each) for each in (constants, division_by_a_zero_that_is_known)),
    *((eliminate_common_subexpressions, each) for each in (turned_round, texts_turned_round)),
    (eliminate_dead_code, unread),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "body"), RULES, ids=lambda each: each.__name__)
def test_each_rule_keeps_what_a_flow_gives_and_whether_it_fails(rule: Pass, body: Body) -> None:
    module: ModuleOp = flow(body)
    pair = RecordDeclOp("Pair", [("left", INT), ("right", INT)])
    first = module.body.block.first_op
    assert first is not None
    module.body.block.insert_op_before(pair, first)
    assert prove_passes(module, [rule]) > 0


@pytest.mark.parametrize("seed", range(12))
def test_rules_that_meet_keep_it_too(seed: int) -> None:
    prove_passes(drawn(Random(seed), 3))
