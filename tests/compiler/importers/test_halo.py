"""Graphs of Halo become programs that check and run alone, or diagnostics."""

import copy
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from flowc.cli import main
from flowc.compiler.checker.report import MAXIMUM
from flowc.compiler.diagnostics.model import CompileError
from flowc.compiler.driver import check_text, compile_text
from flowc.compiler.importers.halo import configure, convert
from flowc.runtime.config import load_config
from flowc.runtime.environment import Environment
from flowc.runtime.execute import run
from flowc.runtime.result import RunResult

ROOT = Path(__file__).parents[3]
SMALL = (ROOT / "benchmarks" / "agents" / "programs" / "small_graph.yaml").read_text(encoding="utf-8")


def codes(text: str) -> list[str]:
    with pytest.raises(CompileError) as caught:
        convert(text, "graph.yaml")
    return [diagnostic.code for diagnostic in caught.value.diagnostics]


def titles(text: str) -> list[str]:
    with pytest.raises(CompileError) as caught:
        convert(text, "graph.yaml")
    return [diagnostic.title for diagnostic in caught.value.diagnostics]


def program(text: str) -> str:
    """The program of a graph, which checks."""
    found = convert(text, "graph.yaml")
    check_text(found, "graph.flow")
    return found


def simulated(text: str, arguments: dict[str, object]) -> RunResult:
    compiled = compile_text(text, "graph.flow")
    return run(compiled.plan, "main", arguments, environment=Environment(provider="simulated", seed=7))


def graph(*nodes: dict[str, Any], edges: tuple[dict[str, Any], ...] = ()) -> str:
    """A file with an input `q` and these nodes."""
    start = {"id": "start", "type": "input", "outputs": ["q"]}
    return str(yaml.safe_dump({"graph": {"name": "g", "nodes": [start, *nodes], "edges": list(edges)}}))


def agent(id_: str, *inputs: str, prompt: str = "Say it.", **rest: Any) -> dict[str, Any]:
    return {"id": id_, "type": "inference", "system_prompt": prompt, "inputs": list(inputs), **rest}


def body(text: str) -> list[str]:
    """The statements of `main`."""
    found = program(text)
    return [line.strip() for line in found[found.index("flow main") :].splitlines()[1:]]


def test_the_graph_of_the_tests_becomes_a_program_that_checks_and_runs_alone() -> None:
    text = program(SMALL)
    assert "flow main(wish: str) -> str:" in text
    assert "tool limits(wish: str) -> Bounds pure:" in text
    result = simulated(text, {"wish": "a film"})
    assert result.status == "ok"
    assert isinstance(result.result, str)


def test_statements_that_are_equal_up_to_their_layout_are_calls_of_one_tool() -> None:
    statement = "SELECT a FROM t WHERE b = :b"
    first = {"name": "one", "sql": statement, "parameters": {"b": "{{ q }}"}}
    again = {"name": "two", "sql": statement.replace(" ", "\n  ") + ";", "parameters": {"b": "{{ q }}"}}
    text = program(graph(agent("x", db_queries=[first]), agent("y", db_queries=[again])))
    assert text.count("\ntool ") == 1
    assert text.count("one(b=q)") == 2
    assert "two: {two}" in text  # its own name in the prompt


def test_each_constant_and_type_of_a_parameter_is_kept() -> None:
    query = {
        "name": "rows",
        "sql": "SELECT :a::int, :b, :c, ':d', x::date /* :e */ FROM t -- :f",
        "parameters": {"a": "{{ q }}", "b": 3, "c": 0.5},
        "param_types": {"a": "int", "b": "numeric", "c": "float"},
    }
    text = program(graph(agent("x", db_queries=[query])))
    assert "tool rows(a: int, b: float, c: float) -> list[json] reads database:" in text
    assert "rows(a=int(q), b=float(3), c=0.5)" in text


def test_a_parameter_may_be_put_together_from_text_and_values() -> None:
    query = {"name": "rows", "sql": "SELECT :k", "parameters": {"k": "%{{ q }}%{x}"}}
    assert 'rows(k=f"%{q}%{{x}}")' in program(graph(agent("x", db_queries=[query])))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("'%%' || :k || '%%'", "'%' || :k || '%'"),
        ("'%' || :k", "'%' || :k"),
        ("5 %% 2 || '%'", "5 %% 2 || '%'"),
    ],
)
def test_percent_signs_are_single_where_all_were_doubled(written: str, meant: str) -> None:
    query = {"name": "rows", "sql": f"SELECT {written}", "parameters": {"k": "{{ q }}"}}
    if ":k" not in written:
        del query["parameters"]
    assert f"SELECT {meant}" in program(graph(agent("x", db_queries=[query])))


@pytest.mark.parametrize(
    ("sql", "effect"),
    [
        ("SELECT replace(a, 'update', '') FROM t", "reads"),
        ("WITH a AS (DELETE FROM t RETURNING *) SELECT * FROM a", "writes"),
        ("INSERT INTO t VALUES (1)", "writes"),
        ("SELECT * INTO u FROM t", "writes"),
    ],
)
def test_a_statement_that_may_change_something_writes(sql: str, effect: str) -> None:
    text = program(graph(agent("x", db_queries=[{"name": "rows", "sql": sql}])))
    assert f"list[json] {effect} database" in text


def test_only_requests_that_ask_are_reads_and_names_in_the_address_are_parameters() -> None:
    post = {"id": "p", "type": "http", "method": "post", "url": "http://h/x/{{ q }}", "json": {"n": 1}}
    text = program(graph(post))
    assert "tool p(n: int, q: str) -> json writes service:" in text
    assert "POST http://h/x/{{ q }}" in text
    assert "p(n=1, q=q)" in text


def test_the_form_of_an_answer_becomes_its_type() -> None:
    prompt = (
        'Judge. Respond ONLY with: {"a": "string", "n": "int or null", "w": "one word", "l": [{"k": true}]}'
    )
    text = program(graph(agent("judge", "q", prompt=prompt, outputs=["a", "n"])))
    assert "record JudgeL:\n    k: bool\n" in text
    assert "record Judge:\n    a: str\n    n: int?\n    w: str\n    l: list[JudgeL]\n" in text
    assert "Respond" not in text
    assert "Give w (one word)." in text
    assert "Results(a=judge_result.a, n=judge_result.n)" in text


def test_values_are_forwarded_along_edges_renamed_and_found_without_edges() -> None:
    edges = (
        {"from": "start", "to": "one", "mapping": {"question": "{{ q }}"}},
        {
            "from": "one",
            "to": "two",
            "mapping": {"asked": "{{ question }}", "both": "{{ r1 }} of {{ question }}"},
        },
    )
    text = graph(
        agent("one", "question", outputs=["r1"]),
        agent("two", "asked", "both", outputs=["r2"]),
        agent("three", "q", "r1", "r2", outputs=["r3"]),
        edges=edges,
    )
    assert body(text) == [
        "r1 = one(q)",
        'r2 = two(q, f"{r1} of {q}")',
        "r3 = three(q, r1, r2)",
        "return r3",
    ]


def test_nodes_may_stand_before_what_they_take_and_several_ends_are_all_returned() -> None:
    text = graph(agent("late", "x", outputs=["y"]), agent("other", "q"), agent("early", "q", outputs=["x"]))
    assert body(text) == [
        "other_result = other(q)",
        "x = early(q)",
        "y = late(x)",
        "return Results(other=other_result, y=y)",
    ]


def test_names_that_the_language_needs_are_changed_and_others_kept() -> None:
    odd = {"id": "in", "type": "input", "outputs": ["if", "class", "2 b"]}
    text = str(
        yaml.safe_dump({"graph": {"nodes": [odd, agent("main", "if", "class", "2 b"), agent("str", "main")]}})
    )
    found = program(text)
    assert "flow main(if_: str, class_: str, n_2_b: str) -> str:" in found
    assert simulated(found, {"if_": "a", "class_": "b", "n_2_b": "c"}).status == "ok"


def test_an_unknown_rule_is_a_pure_tool_that_gives_json() -> None:
    rule = {"id": "r", "type": "processor", "processor": "slugger", "inputs": ["q"], "outputs": ["slug"]}
    assert "tool r(q: str) -> json pure:" in program(graph(rule, agent("x", "slug")))


def test_a_capitalised_default_is_pointed_out() -> None:
    config = {"defaults": {"brand": "Brand#13"}, "normalize": {"uppercase_fields": ["brand"]}}
    rule = {"id": "r", "type": "processor", "processor": "regex_param_extractor", "config": config}
    assert "`brand` (Brand#13)" in program(graph(rule))


def test_the_settings_are_a_flowc_toml_that_is_read(tmp_path: Path) -> None:
    path = tmp_path / "flowc.toml"
    path.write_text(configure(SMALL, "graph.yaml"), encoding="utf-8")
    config = load_config(path)
    assert config.models["gpt-oss-20b"].model == "openai/gpt-oss-20b"
    assert config.models["Qwen3-14B"].provider == "openai"


def test_the_mean_time_of_a_request_is_what_its_tool_takes() -> None:
    request = {"id": "r", "type": "http", "url": "http://h/", "params": {"n": "{{ q }}"}, "latency_s": 2.5}
    text = program(graph(request))
    assert "@latency(2500ms)\ntool r(" in text
    compiled = compile_text(text, "graph.flow")
    times = [
        run(compiled.plan, "main", {"q": str(n)}, environment=Environment(provider="simulated")).wall_ms
        for n in range(200)
    ]
    assert sum(times) / len(times) == pytest.approx(2500, rel=0.1)


def test_models_that_end_alike_keep_their_whole_names() -> None:
    text = program(graph(agent("x", model="a/m"), agent("y", model="b/m")))
    assert '@model("a/m")' in text
    assert '@model("b/m")' in text


WRONG = {
    "no nodes": ("graph: {}", "E0666"),
    "a list": ("- 1", "E0666"),
    "a list without nodes": ("graph: {nodes: []}", "E0666"),
    "nodes that are none": ("graph: {nodes: {a: 1}}", "E0666"),
    "an empty node": ("graph: {nodes: [{}]}", "E0666"),
    "an unknown type": ("graph: {nodes: [{id: a, type: inferrence}]}", "E0666"),
    "no prompt": ("graph: {nodes: [{id: a, type: inference}]}", "E0666"),
    "no address": ("graph: {nodes: [{id: a, type: http}]}", "E0666"),
    "inputs alone": ("graph: {nodes: [{id: a, type: input}]}", "E0666"),
    "two of a name": (graph(agent("x"), agent("x")), "E0667"),
    "two queries of a name": (
        graph(agent("x", db_queries=[{"name": "n", "sql": "SELECT 1"}, {"name": "n", "sql": "SELECT 2"}])),
        "E0667",
    ),
    "an edge to nowhere": (graph(agent("x"), edges=({"from": "x", "to": "y"},)), "E0667"),
    "an input of nobody": (graph(agent("x", "nobody")), "E0667"),
    "two makers": (graph(agent("x", outputs=["r"]), agent("y", outputs=["r"]), agent("z", "r")), "E0667"),
    "no such field": (graph(agent("x", "q", prompt="{{ q.a }}")), "E0667"),
    "a field of a text": (
        graph(
            agent("x", "t", prompt="{{ t.a }}"),
            edges=({"from": "start", "to": "x", "mapping": {"t": "of {{ q }}"}},),
        ),
        "E0667",
    ),
    "a parameter without value": (graph(agent("x", db_queries=[{"name": "n", "sql": "SELECT :p"}])), "E0667"),
    "itself": (graph(agent("x", "y", outputs=["y"])), "E0668"),
    "a ring": (graph(agent("x", "b", outputs=["a"]), agent("y", "a", outputs=["b"])), "E0668"),
    "a ring of edges": (
        graph(agent("x"), agent("y"), edges=({"from": "x", "to": "y"}, {"from": "y", "to": "x"})),
        "E0668",
    ),
    "a template that computes": (graph(agent("x", "q", prompt="{{ q | upper }}")), "E0669"),
    "a template with a test": (graph(agent("x", "q", prompt="{% if q %}")), "E0669"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_ends_in_its_diagnostic(case: str) -> None:
    text, code = WRONG[case]
    assert set(codes(text)) == {code}


def test_all_that_is_wrong_is_told_at_once_in_the_order_of_the_file() -> None:
    assert titles(graph(agent("x", "nobody"), agent("y", "no_one"))) == [
        "nothing makes `nobody`, which `x` takes",
        "nothing makes `no_one`, which `y` takes",
    ]


def test_templates_that_double_along_edges_end_in_a_diagnostic() -> None:
    nodes = [agent(f"n{i}", "x", outputs=[f"o{i}"]) for i in range(40)]
    edges = [{"from": f"n{i}", "to": f"n{i + 1}", "mapping": {"x": "{{ x }}{{ x }}"}} for i in range(39)]
    edges.append({"from": "start", "to": "n0", "mapping": {"x": "{{ q }}"}})
    assert "E0669" in codes(graph(*nodes, edges=tuple(edges)))


def test_a_program_beyond_the_limits_of_the_language_is_told_in_the_place_of_the_graph() -> None:
    (title,) = titles(graph(agent("x", prompt="{ " * 80_000)))
    assert title.startswith("this graph makes no program: the program has 160,0")


@pytest.mark.timeout(20)
def test_so_many_wrong_names_are_told_soon_and_not_all() -> None:
    nodes = [agent(f"n{i}", *(f"missing_{i}_{k}" for k in range(40)), outputs=[f"o{i}"]) for i in range(200)]
    assert len(codes(graph(*nodes))) == MAXIMUM


def test_a_long_chain_of_forwarding_is_followed_without_recursion_limits() -> None:
    nodes = [agent(f"n{i}", "q", outputs=[f"o{i}"]) for i in range(600)]
    edges = [{"from": f"n{i}", "to": f"n{i + 1}", "mapping": {"q": "{{ q }}"}} for i in range(599)]
    assert "o599 = n599(q)" in convert(graph(*nodes, edges=tuple(edges)), "graph.yaml")


def outcome(text: str) -> tuple[str | None, set[str]]:
    """The program, or the codes of what is wrong."""
    try:
        return convert(text, "graph.yaml"), set()
    except CompileError as error:
        return None, {each.code for each in error.diagnostics}


def damaged(chance: random.Random) -> str:
    """The graph of the tests with something removed, renamed, doubled or replaced."""
    tree = yaml.safe_load(SMALL)
    words = [
        "if",
        "main",
        "str",
        "wish",
        "",
        None,
        3,
        [],
        {},
        "{{ wish }}",
        "{{ bounds.since }}",
        "a b",
        "größe",
        True,
    ]
    for _ in range(chance.randint(1, 3)):
        found = list(places(tree))
        if not found:
            break
        holder, key = chance.choice(found)
        match chance.randrange(4):
            case 0:
                del holder[key]
            case 1:
                holder[key] = copy.deepcopy(chance.choice(words))
            case 2 if isinstance(holder, dict):
                holder[str(chance.choice(words))] = holder.pop(key)
            case _:
                holder[key] = copy.deepcopy(chance.choice([each[inner] for each, inner in found]))
    return str(yaml.safe_dump(tree))


def places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every value inside, as the list or dict that has it and where."""
    keys = list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    for key in keys:
        yield tree, key
        yield from places(tree[key])


@given(st.integers(min_value=0))
def test_a_damaged_graph_becomes_a_program_that_checks_or_a_diagnostic(seed: int) -> None:
    text = damaged(random.Random(seed))
    found, told = outcome(text)
    assert told <= {"E0665", "E0666", "E0667", "E0668", "E0669"}
    if found is not None:
        check_text(found, "graph.flow")


def test_the_command_line_writes_the_program_and_its_settings(tmp_path: Path) -> None:
    (tmp_path / "graph.yaml").write_text(SMALL, encoding="utf-8")
    arguments = ["import", "halo", str(tmp_path / "graph.yaml"), "--config", str(tmp_path / "flowc.toml")]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0
    assert result.stdout == program(SMALL)
    assert (tmp_path / "flowc.toml").read_text(encoding="utf-8") == configure(SMALL, "graph.yaml")


def test_settings_of_a_plan_are_refused(tmp_path: Path) -> None:
    (tmp_path / "plan.txt").write_text('1. search("a")\n', encoding="utf-8")
    result = CliRunner().invoke(main, ["import", "llmcompiler", str(tmp_path / "plan.txt"), "--config", "x"])
    assert result.exit_code == 2


PUBLISHED = {
    "w1_imdb_diamond": (8, 9, "Who directed Inception?"),
    "w5_tpch_trident": (7, 10, "region=ASIA year=1993"),
    "w6_tpch_fanout": (9, 13, "region=ASIA year=1993"),
}


@pytest.mark.skipif("FLOWC_DATA" not in os.environ, reason="FLOWC_DATA names no folder of data sets")
@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_graphs_check_and_run(name: str) -> None:
    models, tools, question = PUBLISHED[name]
    text = (Path(os.environ["FLOWC_DATA"]) / "halo" / f"{name}.yaml").read_text(encoding="utf-8")
    found = program(text)
    assert f"{models} model calls, {tools} tool calls." in found
    result = simulated(found, {"user_query": question})
    assert result.status == "ok"
    distinct = {"w6_tpch_fanout": 8}.get(name, tools)  # its second stage asks what the first did
    assert result.calls == models + distinct
