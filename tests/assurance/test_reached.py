"""What was reached is counted, and what never was is named."""

from xdsl.dialects.builtin import ModuleOp

from flowc.dialects.registry import OURS
from flowc.dialects.text import parse_module
from flowc.passes.pipelines import PIPELINES, PassStatistics
from flowc.testing.oracles.reached import ALL_OPERATIONS, ALL_PASSES, fired, never, operations, pairs

TEXT = """
flow.func @main(flag %flag: i1) -> !flow.int effects<> {
  %one = flow.constant 1 : !flow.int
  %two = flow.if(%flag) : (i1) -> !flow.int {
    %sum = flow.apply "add"(%one, %one) : (!flow.int, !flow.int) -> !flow.int
    flow.yield %sum : !flow.int
  } else {
    flow.yield %one : !flow.int
  }
  flow.return %two : !flow.int
}
"""


def module() -> ModuleOp:
    """A flow with a branch."""
    return parse_module(TEXT)


def test_operations_are_counted_where_they_stand_and_the_module_is_not() -> None:
    assert operations(module()) == {
        "flow.func": 1, "flow.constant": 1, "flow.if": 1, "flow.apply": 1, "flow.yield": 2, "flow.return": 1
    }  # fmt: skip


def test_pairs_are_those_of_a_maker_and_a_reader_each_counted_once() -> None:
    assert pairs(module()) == {
        "flow.constant>flow.apply": 1, "flow.constant>flow.yield": 1, "flow.apply>flow.yield": 1,
        "flow.if>flow.return": 1,
    }  # fmt: skip


def test_all_operations_and_passes_are_known() -> None:
    assert {name.split(".")[0] for name in ALL_OPERATIONS} == set(OURS)
    assert len(ALL_OPERATIONS) > 110
    assert {each.name for pipeline in PIPELINES.values() for each in pipeline} <= {*ALL_PASSES}
    assert len({*ALL_PASSES}) == len(ALL_PASSES)


def test_passes_that_changed_nothing_did_not_fire() -> None:
    statistics = (PassStatistics("cse", 2, 0.1), PassStatistics("dce", 0, 0.1), PassStatistics("cse", 1, 0.1))
    assert fired(statistics) == {"cse": 2}


def test_what_was_never_reached_is_known() -> None:
    missing = never(ALL_OPERATIONS, operations(module()))
    assert len(missing) == len(ALL_OPERATIONS) - 6
    assert "flow.map" in missing
    assert never(("a", "b"), {"a": 0, "b": 1}) == ("a",)
