"""The agentic workloads run at small size, and what the benchmark says of them in virtual time is held."""

import os
from collections.abc import Mapping

import pytest

from benchmarks import peers
from benchmarks.agents import ablation, halo, plans, rules
from benchmarks.agents.ablation import compared, figures, passes
from benchmarks.agents.contenders import flowc, virtually
from benchmarks.agents.graph import critical_path
from benchmarks.agents.stage import Stage
from benchmarks.agents.suite import BAR, question_rows, spans
from benchmarks.agents.workloads import Workload, map_reduce, of_plan, triage, workloads
from flowc.compiler.diagnostics.model import CompileError
from flowc.compiler.importers.halo import sql
from flowc.compiler.importers.yaml_nodes import read_yaml
from flowc.passes.pipelines import PIPELINES

LIFTED = {"triage": ("handbook",)}
"""Calls that are taken out of a loop, which then waits for them as a whole."""
WORKLOADS = {each.name: each for each in workloads(60)}
DATA = pytest.mark.skipif("FLOWC_DATA" not in os.environ, reason="FLOWC_DATA names no folder of data sets")


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_single_run_takes_at_most_2_percent_more_than_its_critical_path_and_than_an_expert(
    name: str,
) -> None:
    found = spans(WORKLOADS[name])
    assert found.critical > 0
    assert found.expert == pytest.approx(found.critical)
    allowed = sum(WORKLOADS[name].times.seconds(each) for each in LIFTED.get(name, ()))
    assert found.flowc <= BAR * found.critical + allowed
    assert found.flowc >= found.critical - 1e-9  # less would mean that they do not play the same game
    if peers.has_langgraph():
        assert found.langgraph is not None
        assert found.langgraph >= found.critical - 1e-9


@pytest.mark.parametrize("name", ["small", "plan 1", "map-reduce"])
def test_flowc_makes_the_calls_that_the_expert_makes(name: str) -> None:
    workload = WORKLOADS[name]
    stage = Stage(workload.times, workload.functions)
    virtually(flowc(workload, stage))
    wanted: dict[str, int] = {}
    for call in workload.calls:
        wanted[call.operation] = wanted.get(call.operation, 0) + 1
    assert stage.calls == wanted


def test_a_graph_whose_parts_wait_for_each_other_has_the_longest_chain_as_its_path() -> None:
    workload = map_reduce(4, group=2)
    seconds = workload.times.seconds
    notes = [seconds("note", call.key) for call in workload.calls if call.operation == "note"]
    assert critical_path(workload.calls, workload.times) == pytest.approx(
        max(notes) + seconds("digest") + seconds("report")
    )


def test_the_statements_of_the_graph_run_on_generated_tables() -> None:
    pytest.importorskip("duckdb")
    graph = halo.graph_of("small")
    assert graph is not None
    functions = halo.functions(graph)
    rows = functions["titles"]("Inception", 1930)
    assert [row["primary_title"] for row in rows] == ["Inception"]
    report = functions["recent_titles"]("Inception", 1930, 5)
    assert (report["endpoint"], report["rowcount"], report["params"]["limit"]) == (
        "/imdb/titles/recent",
        1,
        5,
    )


def test_parameters_are_bound_and_not_pasted() -> None:
    pytest.importorskip("duckdb")
    graph = halo.graph_of("small")
    assert graph is not None
    assert halo.functions(graph)["titles"]("x'; DROP TABLE title_basics; --", 1930) == []
    assert halo.functions(graph)["titles"]("Inception", 1930) != []


@DATA
@pytest.mark.parametrize("name", halo.FILES)
def test_every_statement_and_report_of_the_published_graphs_runs(name: str) -> None:
    pytest.importorskip("duckdb")
    workload = WORKLOADS[name]
    outcome = virtually(flowc(workload, Stage(workload.times, workload.functions)))
    assert outcome.result is not None
    assert outcome.result.calls == len(workload.calls)


CONFIG = r"""
regex:
  year: ['(?i)\byear\s*[=:]\s*(199[2-8])\b', '(?i)\b(199[2-8])\b']
  mode: ['(?i)\b(AIR\s+REG|AIR)\b']
  brand: ['(?i)\b(Brand#[0-9]{2})\b']
  date: ['(?i)\bafter\s+(\d{4}/\d{2}/\d{2})']
  low: ['low=([0-9.]+)']
defaults: {year: 1994, mode: "MAIL", brand: "Brand#13", size: 15}
normalize:
  {uppercase_fields: [mode, brand], date_fields: [date], numeric_fields: [year, low], strip_quotes: true}
"""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "nothing",
            {"year": 1994, "mode": "MAIL", "brand": "BRAND#13", "date": None, "low": None, "size": 15},
        ),
        ("1995, year=1993, air   reg", {"year": 1993, "mode": "AIR REG"}),
        ("1995 low=0.05", {"year": 1995, "low": 0.05}),
        ("after 1995/03/15", {"date": "1995-03-15", "year": 1995}),
    ],
)
def test_a_rule_takes_the_first_pattern_then_the_default_then_normalises(
    text: str, found: Mapping[str, object]
) -> None:
    config = read_yaml(CONFIG, "config.yaml").value
    assert isinstance(config, Mapping)
    assert found.items() <= rules.extract(config, text).items()


def test_a_statement_keeps_casts_and_texts_when_its_parameters_are_marked_for_duckdb() -> None:
    assert sql.bound("SELECT :a::int, ':a', a::date") == "SELECT $a::int, ':a', a::date"


@pytest.mark.parametrize(
    ("question", "calls"),
    [
        ("If Mariana Trench was 20% shallower than the Puerto Rico Trench, which is it?", 4),
        ('Find a movie similar to A, B\nOptions:\nC "x"\nD (in 2 parts), E\n', 5),
        ("what is it?", 3),
    ],
)
def test_a_question_has_a_plan_that_runs(question: str, calls: int) -> None:
    workload = of_plan("question", plans.planned(plans.plan_for(question)), question)
    assert len(workload.calls) == calls
    found = spans(workload)
    assert found.flowc == pytest.approx(found.critical)


@DATA
@pytest.mark.parametrize("name", plans.FILES)
def test_questions_of_the_data_sets_run(name: str) -> None:
    (row,) = question_rows(name, 3)
    assert row["flowc/path"] == 1.0


@DATA
@pytest.mark.parametrize("name", plans.FILES)
def test_every_seventh_question_of_the_data_sets_has_a_plan(name: str) -> None:
    assert all(plans.planned(plans.plan_for(question)).calls for question in plans.questions(name)[::7])


@DATA
def test_every_published_plan_is_a_program_or_lacks_a_bracket() -> None:
    import json
    from pathlib import Path

    published = json.loads((Path(os.environ["FLOWC_DATA"]) / "llmcompiler" / "plans.json").read_text("utf-8"))
    outcomes = []
    for each in published:
        try:
            outcomes.append(len(plans.planned(each["plan"]).calls) > 0)
        except CompileError as error:
            outcomes.append({diagnostic.code for diagnostic in error.diagnostics} == {"E0661"})
    assert outcomes == [True] * 9


def test_the_table_of_passes_has_every_pass_of_the_highest_level() -> None:
    assert set(passes()) == {each.name for each in PIPELINES[ablation.LEVEL]}


def test_leaving_out_parallelise_costs_time_and_nothing_else() -> None:
    workload: Workload = triage(4)
    told = compared(figures(workload), figures(workload, ("parallelise",)))
    assert told.startswith("time ")


def test_a_change_is_told_as_a_factor_and_none_as_none() -> None:
    base = ablation.Figures(2.0, 10, 100, 0.5)
    assert compared(base, ablation.Figures(3.0, 10, 90, 0.5)) == "time 1.50, read 0.90"
    assert compared(base, base) == "="
