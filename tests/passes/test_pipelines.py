"""Pipelines: the levels, what a person may write, and what is said about mistakes."""

import pytest
from xdsl.utils.exceptions import VerifyException

from flowc.compiler import driver
from flowc.passes.parallelise import ParallelisePass
from flowc.passes.pipelines import PASSES, PIPELINES, PipelineError, optimise, parse_pipeline

PROGRAM = """\
llm judge(claim: str) -> bool:
    \"\"\"True? {claim}\"\"\"

flow main(claims: list[str]) -> int:
    kept = 0
    for claim in claims:
        if judge(claim):
            kept += 1
            if kept > 3:
                break
    return kept + len([c for c in claims if judge(c) and judge(c)])
"""


def test_each_level_does_what_the_one_below_does() -> None:
    names = {level: [each.name for each in passes] for level, passes in PIPELINES.items()}
    assert names["O0"] == ["outline-kernels"]
    assert set(names["O0"]) < set(names["O1"]) < set(names["O2"]) < set(names["O3"])
    assert set(names["O3"]) == set(PASSES)


def test_a_pipeline_is_read_with_its_options() -> None:
    (only,) = parse_pipeline("parallelise{width=8}")
    assert only == ParallelisePass(width=8)
    assert [each.name for each in parse_pipeline("canonicalise,cse,dce")] == ["canonicalise", "cse", "dce"]
    assert parse_pipeline("") == ()


@pytest.mark.parametrize(
    ("text", "code", "hint"),
    [
        ("cse{", "E0690", "write passes with commas"),
        ("canonicalyse", "E0691", "did you mean `canonicalise`?"),
        ("parallelise{breadth=8}", "E0692", "width"),
        ("parallelise{width=wide}", "E0692", "width (int)"),
        ("parallelise{width=0}", "E0692", "at least 1"),
        ("speculate{probability=7.0}", "E0692", "between 0 and 1"),
        ("speculate{worth=-1.0}", "E0692", "0 or more"),
        ("hedge{worth=-1.0}", "E0692", "0 or more"),
        ("hedge{without=-3}", "E0692", "from 1 on"),
        ("share-prefix{without=0}", "E0692", "from 1 on"),
        ("schedule{order=luck}", "E0692", "is one of"),
    ],
)
def test_mistakes_are_coded(text: str, code: str, hint: str) -> None:
    with pytest.raises(PipelineError) as caught:
        parse_pipeline(text)
    assert caught.value.code == code
    assert hint in caught.value.help


def test_statistics_and_remarks_say_what_happened_and_what_did_not() -> None:
    module = driver.lowered(driver.check_text(PROGRAM, "main.flow"), driver.Options())
    done = optimise(module, PIPELINES["O2"])
    fired = {each.name: each.fired for each in done.statistics}
    assert fired["parallelise"] > 0
    remarks = {(each.pass_name, each.line): each.message for each in done.remarks}
    assert "may stop early" in remarks["parallelise", 6]
    assert "merged only at temperature 0" in remarks["merge-calls", 11]


def test_a_pass_that_breaks_the_ir_is_named() -> None:
    class Vandal(ParallelisePass):
        name = "vandal"

        def apply(self, ctx: object, op: object) -> None:
            raise AssertionError

    module = driver.lowered(driver.check_text(PROGRAM, "main.flow"), driver.Options())

    def vandalise(_: object, current: object) -> None:
        function = next(op for op in module.ops if op.name == "flow.func")
        function.properties["result_type"] = function.regions[0].block.args[0].type

    with pytest.raises(VerifyException, match="after the pass schedule"):
        optimise(module, parse_pipeline("parallelise,schedule"), watch=vandalise)


def test_the_runner_shows_the_module_after_each_pass() -> None:
    module = driver.lowered(driver.check_text(PROGRAM, "main.flow"), driver.Options())
    seen: list[str] = []
    optimise(module, PIPELINES["O1"], watch=lambda each, _: seen.append(each.name))
    assert seen == [each.name for each in PIPELINES["O1"]]
