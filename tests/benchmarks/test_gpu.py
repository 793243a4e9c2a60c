"""The benchmark for GPUs, as far as it goes without one."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

from benchmarks import report
from benchmarks.gpu import __main__ as stages
from benchmarks.gpu import bars, card, clocks, suite, unmeasured
from benchmarks.gpu.catalogue import KERNELS
from benchmarks.gpu.kernel import GpuKernel
from benchmarks.gpu.parts import Parts
from benchmarks.gpu.programs import program
from benchmarks.kernels.kernel import disagreement
from benchmarks.rounds import Options
from flowc.compiler.backends.cuda import nvrtc
from flowc.compiler.backends.cuda.emulation import emulate
from flowc.runtime.device.failures import no_device

LIMITS = {"copy": 4e12, "bf16": 8e14, "f16": 8e14, "f32": 5e13, "i8": 1.5e15}
QUICK = ("gelu", "total", "columns", "gather", "fused_chain")
"""Kernels whose code is short; the others are compiled and run by the long form, and by the benchmark."""
needs_compilers = pytest.mark.skipif(
    not (emulate.available() and nvrtc.available()), reason="there is no C++ compiler, or no NVRTC"
)


def checked() -> list[str]:
    return list(KERNELS) if settings.get_current_profile_name() == "long" else list(QUICK)


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    missing = no_device("nobody put one in")
    monkeypatch.setattr(suite, "absence", lambda: missing)
    monkeypatch.setattr(stages, "absence", lambda: missing)
    monkeypatch.setattr(suite, "ROOT", tmp_path)
    monkeypatch.setattr(suite, "RESULT", tmp_path / "gpu.json")
    return tmp_path / "gpu.json"


@pytest.mark.alike(2)
@needs_compilers
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", checked())
def test_a_kernel_compiles_with_nvrtc_and_agrees_on_the_emulated_device(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unmeasured, "ARCHITECTURES", ("sm_90",))
    found, spilled = unmeasured.row(KERNELS[name])
    assert found["result"] == "agrees"
    assert 8 < int(str(found["registers"])) < 256
    assert isinstance(spilled, dict)


def test_a_chain_of_steps_on_single_numbers_is_one_launch_and_a_balanced_matrix_is_fifty() -> None:
    launches = {}
    for name in ("fused_chain", "balanced"):
        kernel = KERNELS[name]
        launches[name] = unmeasured.compiled(kernel, unmeasured.given(kernel)).launches
    assert launches["fused_chain"] == 1
    assert 40 <= launches["balanced"] <= 60


@pytest.mark.alike(5)
@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
def test_programs_and_references_say_the_same(kernel: GpuKernel) -> None:
    arrays = kernel.inputs(np.random.default_rng(0), kernel.small)
    wanted = kernel.reference(arrays)
    import flowc

    found = flowc.jit(program(kernel.name))(*arrays.values())
    part = kernel.part(np.asarray(found[0] if isinstance(found, tuple) else found))
    assert not disagreement(kernel, wanted, part)
    assert disagreement(kernel, wanted, np.asarray(part) * 2 + 1)
    assert kernel.bound == "orders" or kernel.moved(arrays) or kernel.operations(arrays)


def figures(**seconds: float) -> dict[str, Any]:
    named = {name.replace("_", " "): value for name, value in seconds.items()}
    return {"seconds": named, "facts": {"extra bytes": 2_000_000}, "moved": 1e9, "operations": 4e11}


def test_a_row_says_what_share_of_the_limit_a_kernel_reaches_and_whether_bars_are_kept() -> None:
    row = bars.row(KERNELS["gelu"], "1 GB", figures(flowc=2.6e-4, torch=3e-4, cupy=9e-4), LIMITS)
    assert (row["kernel"], row["rate"], row["of_the_limit"]) == ("gelu(a*b+c), 1 GB", "3846 GB/s", 0.96)
    assert (row["best_peer"], row["peer_ms"], row["peer/flowc"]) == ("torch", 0.3, 1.15)
    assert row["extra_MB"] == 2.0
    assert row["bar"] == "kept: 0.96 of the copy (bar 0.9); kept: 1.15 of the best peer (bar 0.8)"
    slow = bars.row(KERNELS["gelu"], "1 GB", figures(flowc=5e-4, torch=3e-4), LIMITS)
    assert slow["bar"] == "missed: 0.50 of the copy (bar 0.9); missed: 0.60 of the best peer (bar 0.8)"
    assert bars.row(KERNELS["gelu"], "64 MB", figures(flowc=5e-4), LIMITS)["bar"] == ""
    failed = bars.row(KERNELS["gelu"], "1 GB", figures(torch=5e-4), LIMITS)
    assert str(failed["bar"]).startswith("missed: no figure")


def test_attention_is_measured_by_the_products_and_a_chain_by_its_graph() -> None:
    row = bars.row(KERNELS["attention_full_64"], "4k", figures(flowc=1e-3), LIMITS)
    assert row["bar"] == "kept: 0.50 of the products (bar 0.5)"
    assert row["rate"] == "400 T/s"
    found = figures(flowc=1e-4, flowc_without_graph=5e-4, torch_graph=9e-5)
    chain = bars.row(KERNELS["balanced"], "", found, LIMITS)
    assert (chain["best_peer"], chain["graph/launches"]) == ("torch graph", 0.2)
    assert chain["bar"] == "kept: 0.20 of one by one (bar 0.3)"
    found["seconds"]["flowc"] = 4e-4
    assert "missed: 0.80" in str(bars.row(KERNELS["balanced"], "", found, LIMITS)["bar"])


def test_the_note_names_the_card_the_date_the_limits_and_what_is_missed() -> None:
    rows = [
        bars.row(KERNELS[name], "1 GB", figures(flowc=2.6e-4, torch=2.6e-4 * ratio), LIMITS)
        for name, ratio in (("gelu", 1.0), ("affine", 0.64))
    ]
    note = bars.remark(rows, {"name": "NVIDIA H200", "driver": "580.1"}, LIMITS, "2026-11-22")
    assert "name NVIDIA H200, driver 580.1; measured on 2026-11-22" in note
    assert "copy 4000 GB/s" in note
    assert "bf16 800 T/s" in note
    assert "geometric mean 0.80 (bar 1.0: missed)" in note
    assert "Bars missed: relu(x+y) * 1.5, 1 GB." in note


def test_without_a_gpu_one_sentence_says_so_and_the_rest_is_checked(
    nowhere: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unmeasured, "row", lambda kernel: ({"kernel": kernel.title, "result": "agrees"}, {}))
    table = suite.run(Options(only=("gelu", "sort")))
    assert capsys.readouterr().out.startswith("Nothing measured: ")
    assert table.title.endswith("not measured on a GPU")
    assert "Not measured on a GPU: " in table.note
    assert [row["result"] for row in table.rows] == ["agrees", "agrees"]
    assert table.details["measured"] is False


def test_without_a_gpu_times_of_an_earlier_run_stay(
    nowhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere.write_text(json.dumps({"details": {"measured": True}}))
    assert suite.run(Options()).rows == ()
    assert "gpu.json keeps the times it has" in capsys.readouterr().out
    nowhere.write_text(json.dumps({"details": {"measured": False}}))
    assert not suite.keeps(nowhere)


def test_without_a_gpu_the_stages_come_down_to_the_benchmark_and_end_well(
    nowhere: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(stages, "run", lambda command, environment: ran.append(command) or 0)
    assert stages.main([]) == 0
    assert [command[1:4] for command in ran] == [["-m", "benchmarks", "gpu"]]
    assert capsys.readouterr().out == ""
    assert stages.main(["tests", "sanitizer"]) == 0
    assert capsys.readouterr().out.startswith("No kernel runs on a GPU here: ")
    assert len(ran) == 1
    with pytest.raises(SystemExit):
        stages.main(["nonsense"])


def test_with_a_gpu_all_stages_run_and_a_failure_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "absence", lambda: None)
    monkeypatch.setattr(stages.shutil, "which", lambda name: f"/opt/{name}")
    ran: list[tuple[list[str], dict[str, str]]] = []

    def run(command: list[str], environment: dict[str, str]) -> int:
        ran.append((command, environment))
        return len(ran) == 1

    monkeypatch.setattr(stages, "run", run)
    assert stages.main([]) == 1
    devices = [environment.get("FLOWC_TEST_DEVICE") for _, environment in ran]
    assert devices == ["card", "sanitized", "sanitized", None]
    assert [command[command.index("--tool") + 1] for command, _ in ran[1:3]] == ["memcheck", "racecheck"]


class Driver:
    """NVIDIA's driver, by the functions that are asked."""

    def __init__(self, version: int, devices: int = 1, status: int = 0) -> None:
        self.version, self.devices, self.status = version, devices, status

    def cuInit(self, flags: int) -> int:
        return self.status

    def cuDeviceGetCount(self, count: Any) -> int:
        count._obj.value = self.devices
        return 0

    def cuDriverGetVersion(self, version: Any) -> int:
        version._obj.value = self.version
        return 0


def test_the_extra_is_the_one_that_the_driver_is_young_enough_for() -> None:
    assert card.suitable_extra(lambda: Driver(13000)) == "cuda13"
    assert card.suitable_extra(lambda: Driver(12080)) == "cuda12"
    assert card.suitable_extra(lambda: Driver(13000, devices=0)) == ""
    assert card.suitable_extra(lambda: Driver(13000, status=100)) == ""

    def nothing() -> Any:
        raise OSError("no such library")

    assert card.suitable_extra(nothing) == ""


def test_a_card_says_how_much_memory_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    for said, size in (({"memory": "143771 MiB"}, 143771 << 20), ({"memory": "[N/A]"}, 0), ({}, 0)):
        monkeypatch.setattr(card, "described", lambda said=said: said)
        assert card.memory() == size
    assert card.fields_in("1980 MHz, 3201 MHz, 51\n", card.CLOCKS)["memory clock"] == "3201 MHz"


def test_all_libraries_take_turns_and_the_table_has_what_each_took(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commands: list[tuple[str, ...]] = []

    @contextmanager
    def started(asked: Any, timeout: float, failed: Any, at_once: int) -> Iterator[list[Any]]:
        commands.extend(each.arguments[:2] for each in asked)
        failed(asked[-1], "it did not come up")
        yield [SimpleNamespace(samples={asked[0].arguments[0]: [2e-6, 1e-6]}, problems={}, facts={})]

    monkeypatch.setattr(suite, "absence", lambda: None)
    monkeypatch.setattr(suite, "started", started)
    monkeypatch.setattr(suite, "interleave", lambda *_: 0)
    monkeypatch.setattr(suite, "versions", lambda *_: "torch 2")
    monkeypatch.setattr(card, "described", lambda *_: {"name": "a card", "memory": "99999 MiB"})
    monkeypatch.setattr(card, "ceilings", lambda: LIMITS)
    table = suite.run(Options(quick=True, only=("gather",)))
    assert [library for library, _ in commands] == [
        "flowc",
        "cupy",
        "torch",
        "torch_compile",
        "triton",
        "jax",
    ]
    (row,) = table.rows
    assert (row["flowc_ms"], row["best_peer"], row["peer/flowc"]) == (0.0015, "torch", 1.0)
    details: Any = table.details["gather quick"]
    assert details["problems"] == {"cupy": "it did not come up", "jax": "it did not come up"}
    assert table.details["measured"] is True
    assert table.note.startswith("name a card")
    assert "quick" in capsys.readouterr().out


def test_a_measurement_that_was_cut_short_goes_on_where_it_was(tmp_path: Path) -> None:
    path, setting = tmp_path / "made" / "parts.json", {"device": "H200"}
    calls: list[str] = []

    def measure() -> Mapping[str, Any]:
        calls.append("again")
        return {"seconds": 1.5}

    first = Parts.of(path, setting)
    assert first.once("gelu", measure) == {"seconds": 1.5}
    again = Parts.of(path, setting)
    assert again.once("gelu", measure) == {"seconds": 1.5}
    assert len(calls) == 1
    assert not Parts.of(path, {"device": "T4"}).found
    again.clear()
    assert not path.exists()
    path.write_text("{")
    assert not Parts.of(path, setting).found
    Parts({}).once("gelu", measure)
    assert not path.read_text().startswith('{"')


def test_a_block_has_three_samples_at_least_and_ends() -> None:
    prepared: list[int] = []

    def prepare() -> Any:
        prepared.append(1)
        return lambda: None

    assert clocks.block(lambda call: 0.25)(prepare, 0.0) == [0.25] * 3
    assert len(prepared) == 3


def test_the_page_shows_the_report_that_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = json.loads((report.RESULTS / "gpu.json").read_text(encoding="utf-8"))
    text = "\n".join(report._section("gpu", written))
    assert written["title"] in text
    titles = [row["kernel"] for row in written["rows"]]
    for kernel in KERNELS.values():
        assert any(title.startswith(kernel.title) for title in titles), kernel.title
    if not written["details"]["measured"]:
        assert "Not measured on a GPU" in text
        assert {row["result"] for row in written["rows"]} == {"agrees"}
