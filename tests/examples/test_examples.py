"""The examples do what a user would want of them, offline and from the outside."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from flowc.cli import main

EXAMPLES = Path(__file__).parents[2] / "examples"
QUESTION = "How are default parameter values evaluated?"


def flowc(*words: str) -> Result:
    return CliRunner().invoke(main, words)


def run_json(*words: str) -> dict[str, Any]:
    done = flowc("run", *words, "--output-format", "json")
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{path.parent.name}_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("program", sorted(EXAMPLES.glob("*/*.flow")), ids=lambda path: path.stem)
def test_an_example_checks_and_is_formatted(program: Path) -> None:
    assert flowc("check", str(program)).output == ""
    assert flowc("fmt", "--check", str(program)).exit_code == 0


def test_ask_docs_answers_from_the_reference_and_cites_what_it_was_given() -> None:
    report = run_json(str(EXAMPLES / "ask_docs/ask_docs.flow"), f"question={QUESTION}")
    answer = report["result"]
    assert "left to right" in answer["text"]
    assert answer["cited"]
    assert answer["invented"] == []


def test_the_python_api_gives_what_the_program_gives() -> None:
    module = load(EXAMPLES / "python_api/ask.py")
    found = module.ask(QUESTION)
    report = run_json(str(EXAMPLES / "ask_docs/ask_docs.flow"), f"question={QUESTION}")
    assert isinstance(found, module.Answer)
    assert (found.text, found.cited, found.invented) == tuple(
        report["result"][name] for name in ("text", "cited", "invented")
    )


@pytest.mark.parametrize(
    ("claim", "verdict"),
    [
        ("An expired certificate caused the checkout outage of 3 March.", "supported"),
    ],
)
def test_review_reaches_a_verdict(claim: str, verdict: str) -> None:
    report = run_json(str(EXAMPLES / "review/review.flow"), f"claim={claim}")
    assert report["result"]["verdict"] == verdict
    assert report["result"]["rounds"] <= 4


def incident(answer: str) -> tuple[dict[str, Any], list[str]]:
    report = run_json(str(EXAMPLES / "incident/incident.flow"), "--answer", f"approve={answer}")
    return report["result"], report["result"]["log"]


def test_incident_fails_over_only_with_approval_and_writes_in_order() -> None:
    result, log = incident("true")
    assert result["action"] == "failed over"
    assert log == [
        "orders: writes stopped",
        "db-1: drained",
        "orders: db-3 is primary",
        "orders: writes resumed",
    ]


def test_incident_takes_its_writes_back_when_a_person_declines() -> None:
    result, log = incident("false")
    assert result["action"] == "declined"
    assert log == ["orders: writes stopped", "db-1: drained", "orders: writes resumed"]


def test_incident_waits_where_nobody_can_be_asked() -> None:
    done = flowc("run", str(EXAMPLES / "incident/incident.flow"), "--output-format", "json")
    assert done.exit_code == 4
    assert json.loads(done.stdout)["status"] == "waiting"


def test_nearest_finds_the_rows_that_the_queries_were_made_from(tmp_path: Path) -> None:
    data = load(EXAMPLES / "nearest/make_data.py")
    corpus, queries = data.make(2_000)
    np.save(tmp_path / "corpus.npy", corpus)
    np.save(tmp_path / "queries.npy", queries)
    (tmp_path / "args.json").write_text('{"queries": "queries.npy", "corpus": "corpus.npy", "k": 5}')
    found = tmp_path / "indices.npy"
    program = str(EXAMPLES / "nearest/nearest.flow")
    report = run_json(program, "--args", str(tmp_path / "args.json"), "--out", f"indices={found}")
    indices = np.load(found)
    assert indices.shape == (8, 5)
    assert indices[:, 0].tolist() == [i * data.STRIDE % 2_000 for i in range(8)]
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (queries, corpus)]
    best = np.sort(unit[0] @ unit[1].T, axis=1)[:, :-6:-1]
    np.testing.assert_allclose(np.array(report["result"]["scores"]["data"]), best, atol=1e-4)
