"""The graphs of Halo as workloads, imported on the fly; SQL and reports run on DuckDB, rules for real."""

import os
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from benchmarks.agents import rules
from benchmarks.agents.data import REGIONS, SEGMENTS, SHIP_MODES, TITLES, WORDS, Database, database
from benchmarks.agents.graph import Call
from flowc.compiler.diagnostics.model import Source
from flowc.compiler.importers.halo import convert, sql
from flowc.compiler.importers.halo.model import Graph, Step
from flowc.compiler.importers.halo.reading import read
from flowc.compiler.importers.halo.wiring import Origin, Wired, Wiring, wire
from flowc.runtime.providers.base import Request

FILES = {"W1": "w1_imdb_diamond.yaml", "W5": "w5_tpch_trident.yaml", "W6": "w6_tpch_fanout.yaml"}
SMALL = Path(__file__).parent / "programs" / "small_graph.yaml"
MODEL_SECONDS = {"openai/gpt-oss-20b": 1.8, "Qwen/Qwen3-14B": 2.4, "Qwen/Qwen3-32B": 4.5}
"""Mean seconds of a call, of the order of vLLM on one GPU; the files give means for HTTP alone."""
SQL_SECONDS = 0.15

REPORTS = {
    "/imdb/titles/search": """
        SELECT b.tconst, b.primary_title, b.start_year, b.title_type, r.average_rating, r.num_votes
        FROM title_basics b LEFT JOIN title_ratings r USING (tconst)
        WHERE b.primary_title ILIKE '%' || $keyword || '%'
        ORDER BY COALESCE(r.num_votes, 0) DESC LIMIT $limit::INT""",
    "/imdb/titles/recent": """
        SELECT b.tconst, b.primary_title, b.start_year, b.genres, r.average_rating, r.num_votes
        FROM title_basics b LEFT JOIN title_ratings r USING (tconst)
        WHERE b.primary_title ILIKE '%' || $keyword || '%' AND b.start_year >= $since::INT
        ORDER BY COALESCE(r.num_votes, 0) DESC LIMIT $limit::INT""",
    "/tpch/reports/shipmode-priority": """
        SELECT l_shipmode, COUNT(*) AS line_count,
               SUM(CASE WHEN o_orderpriority IN ('1-URGENT', '2-HIGH') THEN 1 ELSE 0 END) AS high_line_count
        FROM lineitem JOIN orders ON l_orderkey = o_orderkey
        WHERE l_shipmode IN ($shipmode, $shipmode2) AND l_shipdate < l_commitdate
          AND l_commitdate < l_receiptdate AND year(l_receiptdate) = $year::INT
        GROUP BY l_shipmode ORDER BY l_shipmode""",
    "/tpch/reports/promo-revenue": """
        SELECT 100 * SUM(CASE WHEN p_type LIKE 'PROMO%' THEN l_extendedprice * (1 - l_discount) ELSE 0 END)
               / SUM(l_extendedprice * (1 - l_discount)) AS promo_revenue
        FROM lineitem JOIN part ON l_partkey = p_partkey
        WHERE year(l_shipdate) = $year::INT AND month(l_shipdate) = 9""",
    "/tpch/reports/segment-revenue": """
        SELECT SUM(l_extendedprice * (1 - l_discount)) AS revenue, COUNT(*) AS line_cnt
        FROM customer JOIN orders ON o_custkey = c_custkey JOIN lineitem ON l_orderkey = o_orderkey
        WHERE c_mktsegment = $segment AND year(o_orderdate) = $year::INT AND l_shipdate > o_orderdate""",
}
"""What the report service of the graphs answers, by the path of the address."""


@frozen
class HaloGraph:
    """A graph: its text, its program, and its steps."""

    text: str
    program: str
    graph: Graph
    wiring: Wiring


def graph_of(name: str) -> HaloGraph | None:
    """A graph of the evaluation from FLOWC_DATA, or "small", which is here; None for one that is missing."""
    folder = os.environ.get("FLOWC_DATA")
    path = SMALL if name == "small" else Path(folder or "", "halo", FILES[name])
    if name != "small" and (folder is None or not path.is_file()):
        return None
    return load(path)


def load(path: Path) -> HaloGraph:
    """A graph from its file."""
    text = path.read_text(encoding="utf-8")
    graph = read(text, str(path))
    return HaloGraph(text, convert(text, Source(str(path), text).path), graph, wire(graph))


def inputs(graph: HaloGraph, count: int, seed: int = 7) -> list[dict[str, str]]:
    """Questions such as the graph takes: films for IMDb, parameters for TPC-H. They overlap as people's do:
    few values are asked for often.
    """
    chance = random.Random(seed)
    name = next(output for step in graph.graph.steps if step.kind == "input" for output in step.outputs)
    films = [*TITLES, *WORDS]
    return [
        {name: _parameters(chance) if "lineitem" in graph.text else f"Who directed {_often(chance, films)}?"}
        for _ in range(count)
    ]


def _often(chance: random.Random, choices: list[str]) -> str:
    """The first choices more often than the last."""
    return choices[min(int(chance.expovariate(0.35)), len(choices) - 1)]


def _parameters(chance: random.Random) -> str:
    return (
        f"region={_often(chance, list(REGIONS))} segment={_often(chance, list(SEGMENTS))} "
        f"year={chance.randint(1992, 1998)} shipmode={_often(chance, list(SHIP_MODES))}"
    )


def functions(graph: HaloGraph, seed: int = 7) -> Mapping[str, Callable[..., Any]]:
    """What stands behind the names of the program: statements and reports on DuckDB, the rules, and a planner
    that takes its keyword out of the question. Raises ImportError without DuckDB.
    """
    found_in = database(seed)
    found: dict[str, Callable[..., Any]] = {}
    for step in graph.graph.steps:
        for query in step.queries:
            text = sql.statement(query.sql)
            found[query.name] = _statement(found_in, sql.bound(text), sql.parameters(text))
        if step.kind == "http":
            found[step.id] = _report(found_in, step)
        elif step.kind == "processor":
            found[step.id] = lambda text, config=step.config: rules.extract(config, text)
        elif step.outputs == ("search_keyword",):
            found[step.id] = _keyword
    return found


def _keyword(request: Request) -> str:
    """The last words with capitals in the question."""
    question = next(part.text for part in request.segments if not isinstance(part, str))
    words = [word.strip("?.,") for word in question.split()[1:] if word[:1].isupper()]
    return " ".join(words) or question.split()[-1].strip("?.,")


def _statement(source: Database, text: str, names: tuple[str, ...]) -> Callable[..., Any]:
    return lambda *arguments: source.rows(text, dict(zip(names, arguments, strict=True)))


def _report(source: Database, step: Step) -> Callable[..., Any]:
    assert step.url is not None
    address = str(step.url.value)
    path = "/" + address.split("://")[-1].partition("/")[2]
    names = tuple(step.parameters)

    def answer(*arguments: object) -> dict[str, object]:
        given = dict(zip(names, arguments, strict=True))
        found = source.rows(REPORTS[path], given) if path in REPORTS else []
        return {"endpoint": path, "params": given, "rowcount": len(found), "rows": found}

    return answer


def means(graph: HaloGraph) -> dict[str, float]:
    """Mean seconds of every operation of the program."""
    found: dict[str, float] = {}
    for step in graph.graph.steps:
        found |= {query.name: SQL_SECONDS for query in step.queries}
        if step.kind == "inference":
            found[step.id] = MODEL_SECONDS.get(step.model or "", 2.0)
        else:
            found[step.id] = step.latency or 0.0
    return found


def calls(graph: HaloGraph) -> tuple[Call, ...]:
    """The graph at the grain of single operations, equal statements once: what an expert would start."""
    found: dict[str, Call] = {}
    same: dict[tuple[object, ...], str] = {}
    names: dict[tuple[str, str], str] = {}

    def needs(*wired: Wired) -> tuple[str, ...]:
        origins = [part for each in wired for part in each if isinstance(part, Origin)]
        made = [names.get((o.step, o.name), o.step) for o in origins]
        return tuple(dict.fromkeys(name for name in made if name in found))

    for step in graph.wiring.order():
        for query in step.queries:
            given = {
                name: graph.wiring.template(step, str(node.value), node.span)
                for name, node in sorted(query.parameters.items())
            }
            first = same.setdefault((sql.statement(query.sql), *given.items()), query.name)
            names[step.id, query.name] = first
            found.setdefault(first, Call(first, first, needs(*given.values())))
        if step.kind != "input":
            wired: list[Wired]
            if step.kind == "inference":
                wired = [graph.wiring.input(step, name, step.span) for name in step.inputs]
                wired += [(Origin(step.id, query.name),) for query in step.queries]
            else:
                wired = [(origin,) for origin in graph.wiring.taken(step)]
            found[step.id] = Call(step.id, step.id, needs(*wired))
    return tuple(found.values())
