"""Targets: where kernels run, why, and what is imported for it."""

import sys
from typing import Any, ClassVar

import numpy as np
import pytest

from flowc.runtime.device import choosing, placing, presence
from flowc.runtime.device.choosing import compiled_for, kernels_for
from flowc.runtime.device.code import DeviceCode
from flowc.runtime.device.failures import no_device, not_installed, old_driver
from flowc.runtime.device.placing import PlacedKernel, Placement, placed_kernels, placements_text
from flowc.runtime.errors import FlowError
from tests.forked import COMMANDS, run_forked


class OnDevice:
    """Something with memory on a GPU."""

    __cuda_array_interface__: ClassVar[dict[str, Any]] = {}


def on_processor(*arguments: Any, out: Any = None) -> str:
    return f"processor {len(arguments)} {out}"


def on_device(*arguments: Any, out: Any = None) -> str:
    return f"device {len(arguments)} {out}"


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (choosing, placing):
        monkeypatch.setattr(module, "absence", lambda: None)


@pytest.fixture
def none(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (choosing, placing):
        monkeypatch.setattr(module, "absence", lambda: no_device("nobody put one in"))


def test_the_processor_is_asked_for_nothing(none: None) -> None:
    kernels = {"k": on_processor}
    assert kernels_for("cpu", kernels, None) is kernels
    assert compiled_for("cpu") == "cpu"


def test_without_a_gpu_the_target_cuda_is_refused_and_auto_is_the_processor(none: None) -> None:
    with pytest.raises(FlowError, match="E0780"):
        kernels_for("cuda", {"k": on_processor}, None)
    with pytest.raises(FlowError, match="E0780"):
        compiled_for("cuda")
    assert compiled_for("auto") == "cpu"
    found = kernels_for("auto", {"k": on_processor}, None)
    assert found["k"](1) == "processor 1 None"
    assert found["k"](1, out=2) == "processor 1 2"
    told = placements_text(found)
    assert told.startswith("k: on the processor, as there is no GPU")
    assert "nobody put one in" in told


def test_a_program_without_kernels_needs_no_gpu(none: None) -> None:
    assert kernels_for("cuda", {}, None) == {}


def test_with_a_gpu_kernels_without_code_are_refused_or_stay(gpu: None) -> None:
    with pytest.raises(FlowError, match="E0786"):
        kernels_for("cuda", {"k": on_processor}, None)
    assert compiled_for("auto") == "auto"
    found = kernels_for("auto", {"k": on_processor}, None, refused={"k": "a GPU cannot sort"})
    assert placements_text(found) == "k: on the processor, as a GPU cannot sort"


def test_calls_go_where_their_arrays_are(gpu: None) -> None:
    found = placed_kernels({"k": on_processor}, lambda: {"k": on_device})
    called = found["k"]
    assert called(1, np.ones(2)) == "processor 2 None"
    assert called(OnDevice(), 2) == "device 2 None"
    there = OnDevice()
    assert called(1, out=there) == f"device 1 {there}"
    told = placements_text(found).splitlines()
    assert told[0].startswith("k: 2 x on the GPU, as an argument is on the GPU")
    assert told[1].startswith("k: 1 x on the processor")


class Tensor:
    """An array of one type on either side, as torch's."""

    def __init__(self, kind: int, shows: bool) -> None:
        self.kind, self.shows = kind, shows

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        if not self.shows:
            raise AttributeError("it is in host memory")
        return {}

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.kind, 0


def test_arrays_say_themselves_on_which_side_they_are() -> None:
    for kind, shows, wanted in ((1, False, False), (2, True, True), (2, False, True), (13, False, True)):
        assert placing.on_device(Tensor(kind, shows)) is wanted
    assert not any(map(placing.on_device, (np.ones(2), np.float32(1), 3, None, [1.0], "text")))


def test_a_kernel_that_was_compiled_for_either_is_refused_for_cuda_with_the_reason(
    gpu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    reasons = {"k": "a GPU cannot sort"}
    code = DeviceCode(b"", (), ())
    monkeypatch.setattr(choosing, "load_device", lambda code, **_: {"j": on_device})
    for given in (code, None):
        with pytest.raises(FlowError, match="E0787") as error:
            kernels_for("cuda", {"j": on_processor, "k": on_processor}, given, refused=reasons)
        assert "kernel `k`" in error.value.problem.message
        assert error.value.problem.why == "a GPU cannot sort"
    assert kernels_for("cuda", {"j": on_processor}, code, refused=reasons)["j"](1) == "device 1 None"


def test_who_places_calls_is_asked_for_each_with_its_arguments() -> None:
    asked: list[Any] = []

    def place(kernel: str, arguments: Any) -> Placement:
        asked.append((kernel, len(arguments[0])))
        return Placement("cuda" if len(arguments[0]) > 2 else "cpu", "of its length")

    called = PlacedKernel("k", on_processor, on_device, place)
    assert [called([0] * n)[:3] for n in (1, 2, 3)] == ["pro", "pro", "dev"]
    assert asked == [("k", 1), ("k", 2), ("k", 3)]


def test_reasons_name_what_to_install() -> None:
    assert "flowc[cuda13]" in not_installed("it is not there").problem.help
    problem = old_driver(12040, 13000).problem
    assert "CUDA 12.4" in problem.message
    assert "CUDA 13.0" in problem.message


def test_without_a_driver_nothing_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Any:
        raise OSError("libcuda.so.1: cannot open shared object file")

    monkeypatch.setattr(presence, "driver", missing)
    with pytest.raises(FlowError, match="E0780"):
        presence.current_site()
    assert "cupy" not in sys.modules


def test_without_cupy_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "driver", lambda: None)
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(FlowError, match="E0781"):
        presence.current_site()


PROGRAM = """
kernel double(x: f32[n]) -> f32[n]:
    return x + x

flow main() -> f32:
    return sum(double([1.0, 2.0]))
"""


@pytest.mark.skipif(presence.absence() is None, reason="there is a GPU here")
@pytest.mark.parametrize("target", [[], ["--target", "auto"]])
def test_nothing_of_cuda_is_imported_where_no_gpu_kernel_runs(tmp_path: Any, target: list[str]) -> None:
    (tmp_path / "main.flow").write_text(PROGRAM)
    words = ["run", "main.flow", *target]
    code = (
        "import sys\nfrom flowc.cli import main\n"
        f"main({words!r}, standalone_mode=False)\n"
        "print([n for n in sys.modules if n.startswith(('cupy', 'flowc.compiler.backends.cuda'))])\n"
        "print('flowc.runtime.device.kernel' in sys.modules)"
    )
    done = run_forked(code, ahead=COMMANDS, folder=tmp_path)
    assert done.status == 0, done.err
    lines = done.out.splitlines()
    assert lines[:2] == ["6.0", "[]"]
    if not target:
        assert lines[2] == "False"
