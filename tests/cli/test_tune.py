"""`flowc tune`, and the account of a simulated run: what a trace says comes back as it was."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flowc.cli import main
from flowc.runtime.config import load_config

PROGRAM = '''\
@model("small")
llm ask(word: str) -> str:
    """You are careful and kind, and you never invent what you do not know. What is {word}?"""

flow main() -> list[str]:
    return [ask(f"{i}") for i in range(60)]
'''
CONFIG = """\
[models.small]
price_in = 2.0
price_out = 10.0
max_in_flight = 8
[models.small.simulated]
network = 0.1
lengths = { mean = 150, distribution = "lognormal", shape = 0.6 }
[models.small.simulated.server]
prefill = 0
per_prompt_token = 0.001
iteration = 0.02
per_sequence = 0.0005
max_batch = 4
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    (tmp_path / "main.flow").write_text(PROGRAM)
    (tmp_path / "flowc.toml").write_text(CONFIG)
    return tmp_path


def flowc(*words: str) -> Result:
    return CliRunner().invoke(main, words)


def simulated(*words: str) -> Result:
    return flowc("run", "main.flow", "--provider", "simulated", "--seed", "7", *words)


def test_the_account_of_a_simulated_run_says_what_its_models_cost_and_how_calls_waited() -> None:
    done = simulated("--explain", "-q")
    line = next(line for line in done.stderr.splitlines() if line.startswith("small"))
    _, calls, tokens_in, cached, tokens_out, cost, *waits = line.split()
    assert calls == "60"
    numbers = [int(word.replace(",", "")) for word in (tokens_in, cached, tokens_out)]
    assert 0 < numbers[1] < numbers[0]
    assert float(cost[1:]) == pytest.approx((2.0 * numbers[0] + 10.0 * numbers[2]) / 1e6, abs=1e-4)
    assert float(waits[0]) > 0.0


def test_the_timeline_of_a_run_is_a_trace_from_which_its_server_is_found_again(folder: Path) -> None:
    assert simulated("--trace", "run.json", "-q").exit_code == 0
    done = flowc("tune", "--trace", "run.json", "--model", "small")
    assert done.exit_code == 0
    assert done.stdout.startswith("# From 60 calls, about 8 at once")
    (folder / "flowc.toml").write_text(done.stdout)
    simulation = load_config(folder / "flowc.toml").simulation
    assert simulation is not None
    server = simulation.models["small"].server
    assert server is not None
    assert 0.01 < server.iteration < 0.04


def test_a_model_is_named_as_in_the_trace_or_by_its_alias_or_not_where_there_is_one(folder: Path) -> None:
    (folder / "flowc.toml").write_text(CONFIG.replace("price_in", 'model = "tiny-1"\nprice_in'))
    assert simulated("--trace", "run.json", "-q").exit_code == 0
    assert '"tiny-1"' in (folder / "run.json").read_text()
    told = [flowc("tune", "--trace", "run.json", *more).stdout for more in WAYS]
    assert told[0].startswith("# From 60 calls")
    assert "[models.small.simulated]" in told[0]
    assert set(told) == {told[0]}
    (folder / "flowc.toml").unlink()
    assert "[models.tiny-1.simulated]" in flowc("tune", "--trace", "run.json").stdout


WAYS = (("--model", "small"), ("--model", "tiny-1"), ())


def test_the_largest_batch_of_a_server_is_found_in_the_timeline_of_a_run() -> None:
    assert simulated("--trace", "run.json", "-q").exit_code == 0
    assert "max_batch = 4" in flowc("tune", "--trace", "run.json").stdout


def test_of_several_models_one_must_be_chosen(folder: Path) -> None:
    lines = [f"{n},100,{n + 5},{0.5 + n / 10},{'ab'[n % 2]}" for n in range(60)]
    header = "arrival,tokens_in,tokens_out,latency,model"
    (folder / "two.csv").write_text("\n".join([header, *lines]) + "\n")
    done = flowc("tune", "--trace", "two.csv")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "error[E0652]" in done.stderr
    assert "--model b" in done.stderr
    assert flowc("tune", "--trace", "two.csv", "--model", "b").stdout.startswith("# From 30 calls")


def test_without_prices_the_account_claims_no_cost(folder: Path) -> None:
    (folder / "flowc.toml").write_text("")
    assert "no price" in simulated("--explain", "-q").stderr


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--trace", "none.json"), "E0650"),
        (("--trace", "main.flow"), "E0651"),
        (("--trace", "few.csv"), "E0652"),
    ],
)
def test_a_trace_that_says_nothing_ends_in_a_diagnostic(
    words: tuple[str, ...], code: str, folder: Path
) -> None:
    (folder / "few.csv").write_text("arrival,tokens_in,tokens_out,latency\n0,1,1,1\n")
    done = flowc("tune", *words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"error[{code}]" in done.stderr
