"""Tuning: what is measured becomes a model that is judged, kept, and found again; bad ones are left alone."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from attrs import evolve
from click.testing import CliRunner

from flowc.cli import main
from flowc.compiler.tuning import ceilings, session
from flowc.compiler.tuning import fit as fitting
from flowc.compiler.tuning import measure as measuring
from flowc.compiler.tuning.fit import fit, margin_of
from flowc.compiler.tuning.measure import Arrays, Sample
from flowc.compiler.tuning.programs import FAMILIES, Trial, trial
from flowc.passes.cost import stored
from flowc.passes.cost.forest import evaluate, forest_of
from flowc.passes.cost.kernel_features import FEATURES
from flowc.passes.cost.kernel_model import KernelModel, as_json, shipped
from flowc.passes.cost.kernel_roofline import Machine
from flowc.runtime.errors import FlowError
from flowc.runtime.machine import this_machine

pytest.importorskip("lightgbm")

MACHINE = Machine("some", 1, np.array([10.0, 20.0]), np.array([4e9, 1e9]), 1e10, 1e11, 1e-6, 1e-8, 64)


def _sample(number: int) -> Sample:
    """One whose time is a function of two of its features, up to a hundredth."""
    generator = np.random.default_rng(number)
    row = generator.random(len(FEATURES))
    seconds = 1e-3 * 2 ** (3 * row[2] + (row[5] > 0.5)) * (1 + 0.01 * generator.random())
    return Sample("rows", f"kernel {number // 4}", {}, 1, seconds, 1e-3, tuple(row))


def test_what_is_fitted_to_samples_says_what_others_like_them_take() -> None:
    samples = [_sample(number) for number in range(600)]
    first = fit(samples[:480], [MACHINE])
    model = fit(samples, [MACHINE], margin_of(first, samples[480:]))
    others = [_sample(number) for number in range(1000, 1200)]
    found = np.array([evaluate(model.forest, np.array(other.features)) for other in others])
    wanted = np.log2([other.seconds / other.roofline for other in others])
    assert np.median(abs(found[:, 1] - wanted)) < 0.35
    assert 0.7 < np.mean((found[:, 0] <= wanted) & (wanted <= found[:, 2])) < 0.95


def test_a_tree_tells_values_apart_that_lie_as_near_to_each_other_as_shares_of_large_sizes() -> None:
    rows = np.repeat([1 / 3, 1 / 3 + 1e-8], 100)[:, None]
    values = np.repeat([0.0, 1.0], 100)
    forest = forest_of([fitting.trees_of(rows, values, {"bagging_fraction": 1.0}, 60)])
    found = np.array([evaluate(forest, row)[0] for row in rows])
    np.testing.assert_allclose(found, values, atol=0.05)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine that takes no time to measure, with one thread, and a place for its model."""
    monkeypatch.setenv("FLOWC_MODEL_DIR", str(tmp_path))
    monkeypatch.setattr(session, "ceilings", lambda threads: MACHINE)
    return tmp_path / "kernels.json"


def _measure(trials: Sequence[Trial], machines: Sequence[Machine], arrays: Arrays) -> Iterator[Sample]:
    """Stands in for `measure`: five calls of each kernel, all different."""
    for each in trials:
        first = random.Random(each.text).randrange(1 << 30)
        yield from (_sample(first + number) for number in range(5))


def _hours(monkeypatch: pytest.MonkeyPatch, rounds: int) -> None:
    """A clock by which measuring ends after so many kernels of each family."""
    ticks = iter(range(1_000_000))
    monkeypatch.setattr(session.time, "monotonic", lambda: 10.0 * next(ticks) / rounds)


def test_a_machine_is_measured_judged_and_its_model_kept(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "measure", _measure)
    _hours(monkeypatch, 9)
    heard: list[tuple[float, int]] = []
    found = session.tune(10, [1], lambda done, count: heard.append((done, count)))
    assert heard == sorted(heard)
    assert heard[-1] == (1.0, found.model.samples) == (1.0, 9 * 5 * len(FAMILIES))
    assert found.error < 0.25 < found.roofline_error
    stored.store(as_json(found.model))
    assert machine.is_file()
    assert "measured on another machine" in stored.chosen().problem


def test_too_few_measurements_are_an_error_and_keep_nothing(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "measure", _measure)
    _hours(monkeypatch, 2)
    with pytest.raises(FlowError) as caught:
        session.tune(10, [1], lambda done, count: None)
    assert caught.value.problem.code == "E0654"
    assert not machine.exists()


def test_measurements_that_took_no_time_are_left_out(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(trials: Sequence[Trial], machines: Sequence[Machine], arrays: Arrays) -> Iterator[Sample]:
        for number in range(50):
            sample = _sample(number + 7 * len(trials[0].text))
            yield sample if number % 5 else Sample("rows", sample.text, {}, 1, 0.0, 1e-3, sample.features)

    monkeypatch.setattr(session, "measure", measure)
    monkeypatch.setattr(fitting, "TREES", (3, 3, 3))
    _hours(monkeypatch, 8)
    found = session.tune(10, [1], lambda done, count: None)
    assert (found.left_out, found.model.samples) == (80, 320)


def _of_this_machine(model: KernelModel) -> str:
    name = this_machine()
    machines = {1: evolve(MACHINE, name=name)}
    leaves = forest_of([[{"features": [-1], "numbers": [value]}] for value in (0.0, 1.0, 2.0)])
    return as_json(KernelModel(machines, leaves, model.lowest, model.highest, model.combinations, 7))


def test_the_model_of_this_machine_is_found_again(machine: Path) -> None:
    stored.store(_of_this_machine(shipped()))
    chosen = stored.chosen()
    assert (chosen.tuned, chosen.problem, chosen.model.samples) == (True, "", 7)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no model that can be used"),
        (b"\xff\xfe", "no model that can be used"),
        (b'{"version": 99}', "no model that can be used"),
        (b"[" * 9_000_000, "more than"),
        (b'{"version": ' + b"9" * 5000 + b"}", "no model that can be used"),
    ],
)
def test_a_damaged_model_is_left_alone_and_the_default_used(machine: Path, content: bytes, why: str) -> None:
    machine.write_bytes(content)
    chosen = stored.chosen()
    assert chosen.model is shipped()
    assert why in chosen.problem
    assert str(machine) in chosen.problem


def test_the_report_of_a_kernel_says_what_is_amiss_with_the_model(
    machine: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine.write_bytes(b"{}")
    monkeypatch.chdir(tmp_path)
    Path("main.flow").write_text("kernel twice(x: f32[n]) -> f32[n]:\n    return x + x\n")
    done = CliRunner().invoke(main, ["compile", "main.flow", "--explain"])
    assert done.exit_code == 0
    assert "is no model that can be used" in " ".join(done.stderr.split())


def test_the_ceilings_of_this_machine_are_positive_and_a_cache_is_faster_than_memory() -> None:
    found = ceilings.ceilings(1)
    assert found.name == this_machine()
    assert min(found.operations, found.multiplications, found.call, *found.bandwidths) > 0
    assert found.bandwidths[0] > found.bandwidths[-1]


@pytest.mark.parametrize(
    "words",
    [["--model", "small"], ["--seconds", "0"], ["--seconds", "301"], ["--trace", "t", "--seconds", "9"]],
)
def test_options_that_make_no_sense_are_refused(words: list[str]) -> None:
    assert CliRunner().invoke(main, ["tune", *words]).exit_code == 2


def test_every_family_is_measured_in_turn(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def measure(trials: Sequence[Trial], machines: Sequence[Machine], arrays: Arrays) -> Iterator[Sample]:
        asked.extend(trial.family for trial in trials)
        yield from map(_sample, range(len(asked), len(asked) + 60))

    monkeypatch.setattr(session, "measure", measure)
    monkeypatch.setattr(fitting, "TREES", (3, 3, 3))
    _hours(monkeypatch, 3)
    session.tune(10, [1], lambda done, count: None)
    assert asked == [*FAMILIES] * 3


def test_a_folder_that_cannot_be_written_is_said_before_anything_is_measured(
    machine: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FLOWC_MODEL_DIR", str(tmp_path / "file" / "folder"))
    monkeypatch.setattr(session, "measure", None)
    done = CliRunner().invoke(main, ["tune"])
    assert done.exit_code == 2
    assert "E0682" in done.stderr


def test_of_several_visits_the_fastest_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([5.0, 3.0, 4.0, 7.0])
    monkeypatch.setattr(measuring, "shortest", lambda work, clock_of: next(clock))
    drawn = trial("elementwise", 0, 2)
    found = list(measuring.measure([drawn], [MACHINE], Arrays(), visits=2))
    assert [sample.seconds for sample in found] == [4.0, 3.0]
    assert [sample.sizes for sample in found] == list(drawn.calls)
