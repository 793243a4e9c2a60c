"""The peers' side: `python -m benchmarks.durable.peers NAME FOLDER STEPS`, in the peers' environment. It runs
a loop of steps that give 200 bytes, kept in SQLite as its own documentation shows it.
"""

import sqlite3
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, TypedDict

from benchmarks import worker
from benchmarks.worker import Call, Prepare

_NUMBER = count().__next__


def main() -> None:
    """Answers for one peer."""
    channel = worker.claim_output()
    name, folder, steps = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    variants: dict[str, Prepare] = {}
    problems: dict[str, str] = {}
    try:
        variants["steps"] = PEERS[name](folder, steps)
        variants["steps"]()()
    except Exception as error:  # it is not installed, or is another version than this was written for
        variants, problems["steps"] = {}, worker.describe(error)
    worker.serve(channel, variants, problems, {"blocks": {"steps": steps}})


class _State(TypedDict):
    i: int
    text: str


def langgraph(folder: Path, steps: int) -> Prepare:
    """A node that goes back to itself, with a checkpoint behind each step."""
    from langgraph.checkpoint.sqlite import SqliteSaver
    from langgraph.graph import END, START, StateGraph

    def node(state: _State) -> dict[str, Any]:
        return {"i": state["i"] + 1, "text": "x" * 200}

    graph: Any = StateGraph(_State)
    graph.add_node("text", node)
    graph.add_edge(START, "text")
    graph.add_conditional_edges("text", lambda state: "text" if state["i"] < steps else END)

    def prepare() -> Call:
        base = sqlite3.connect(folder / f"langgraph{_NUMBER()}.db", check_same_thread=False)
        application = graph.compile(checkpointer=SqliteSaver(base))
        settings = {"recursion_limit": steps + 10, "configurable": {"thread_id": "1"}}

        def call() -> None:
            assert application.invoke({"i": 0, "text": ""}, settings)["i"] == steps
            base.close()

        return call

    return prepare


def dbos(folder: Path, steps: int) -> Prepare:
    """A workflow that calls a step again and again."""
    from dbos import DBOS

    where = f"sqlite:///{folder / 'dbos.sqlite'}"
    quiet = {"log_level": "ERROR", "run_admin_server": False}
    DBOS(config={"name": "durable", "system_database_url": where, **quiet})

    @DBOS.step()  # type: ignore[untyped-decorator]
    def text(i: int, before: str) -> str:
        return "x" * 200

    @DBOS.workflow()  # type: ignore[untyped-decorator]
    def loop(n: int) -> str:
        before = ""
        for i in range(n):
            before = text(i, before)
        return before

    DBOS.launch()
    return worker.repeated(lambda: loop(steps))


PEERS: dict[str, Callable[[Path, int], Prepare]] = {"langgraph": langgraph, "dbos": dbos}

if __name__ == "__main__":
    main()
