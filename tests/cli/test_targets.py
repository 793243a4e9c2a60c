"""`--target`, `--gpu-arch` and `--emit=cuda`: what is compiled for GPUs, kept in artifacts and said of
calls."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from click.testing import CliRunner, Result

from flowc.cli import main
from flowc.compiler import device_build
from flowc.compiler.backends import cuda
from flowc.compiler.backends.cuda import nvrtc
from flowc.compiler.backends.cuda.emulated_device import EmulatedDevice
from flowc.compiler.backends.cuda.emulation import emulate
from flowc.passes.array_to_gpu import Unsupported
from flowc.runtime.artifact import read
from flowc.runtime.device import choosing, loading, placing, presence
from flowc.runtime.device.failures import no_device
from flowc.runtime.device.site import Site
from flowc.runtime.errors import fail
from flowc.runtime.kernel_artifact import device_kernels_in

PROGRAM = """
kernel squashed(x: f32[n, m]) -> f32[n, m]:
    return tanh(x + 1.0)

kernel shared(x: f32[n]) -> f32[n]:
    return x / sum(x)

flow main(x: f32[n, m]) -> f32[n, m]:
    return squashed(x)
"""
ARGUMENT = "x=[[1.0, -1.0]]"
needs_nvrtc = pytest.mark.skipif(not nvrtc.available(), reason="nvidia-cuda-nvrtc is not installed")
needs_compiler = pytest.mark.skipif(not emulate.available(), reason="there is no C++ compiler")


def flowc(*words: str) -> Result:
    return CliRunner(env={"NO_COLOR": "1"}).invoke(main, words)


@pytest.fixture(autouse=True)
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "main.flow").write_text(PROGRAM)
    return tmp_path


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> None:
    """No GPU here, whatever machine the test runs on."""
    for module in (choosing, placing, device_build):
        monkeypatch.setattr(module, "absence", lambda: no_device("nobody put one in"))


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch) -> EmulatedDevice:
    """The emulated device in place of a GPU, for text that is compiled for it when it is loaded."""
    device = EmulatedDevice()
    site = Site(device)
    usual = loading.load_device

    def load(code: Any, **more: Any) -> Any:
        plain = evolve(code, cubins={}, ptx=b"")
        return usual(plain, find=lambda: site, recompile=lambda text, _: text.encode())

    for module in (choosing, placing, device_build):
        monkeypatch.setattr(module, "absence", lambda: None)
    monkeypatch.setattr(device_build, "wanted", lambda _: ())
    monkeypatch.setattr(presence, "current_site", lambda: site)
    monkeypatch.setattr(choosing, "load_device", load)
    return device


@pytest.fixture
def unreduced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flowc that cannot reduce on a GPU."""
    usual = cuda.compile_kernels

    def compile_kernels(module: Any, options: Any) -> Any:
        for op in module.walk():
            if op.name == "array.reduce":
                raise Unsupported(op, "array.reduce has no device code")
        return usual(module, options)

    monkeypatch.setattr(cuda, "compile_kernels", compile_kernels)


def test_the_text_for_a_gpu_is_printed_without_a_compiler_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvrtc, "compile_text", None)
    monkeypatch.setattr(nvrtc, "architectures", None)
    done = flowc("compile", "main.flow", "--emit=cuda")
    assert done.exit_code == 0, done.stderr
    assert "__global__" in done.stdout
    assert "squashed" in done.stdout


@needs_nvrtc
def test_an_artifact_has_code_for_gpus_beside_that_for_processors() -> None:
    done = flowc("compile", "main.flow", "--target", "cuda", "--gpu-arch", "sm_80,sm_90", "-o", "a.flowc")
    assert done.exit_code == 0, done.stderr
    artifact = read(Path("a.flowc"))
    code = device_kernels_in(artifact)
    assert code is not None
    assert sorted(code.cubins) == ["sm_80", "sm_90"]
    assert code.ptx_architecture == "sm_80"
    assert [each.name for each in code.signatures] == ["squashed", "shared"]
    assert artifact.properties["gpus"] == ["sm_80", "sm_90"]
    assert flowc("run", "a.flowc", ARGUMENT).stdout == flowc("run", "main.flow", ARGUMENT).stdout


def test_an_artifact_without_code_for_gpus_has_nothing_of_them() -> None:
    assert flowc("compile", "main.flow", "-o", "a.flowc").exit_code == 0
    with zipfile.ZipFile("a.flowc") as archive:
        assert not [name for name in archive.namelist() if "cuda" in name]
        assert "gpus" not in json.loads(archive.read("manifest.json"))["properties"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--gpu-arch", "sm_90"), "--gpu-arch is about GPUs"),
        (("--target", "cuda", "--gpu-arch", "gfx906"), "`gfx906` is no architecture"),
        (("--target", "cuda", "--gpu-arch", "sm_33"), "makes no code for sm_33"),
    ],
)
@needs_nvrtc
def test_architectures_that_are_none_are_refused(words: tuple[str, ...], message: str) -> None:
    done = flowc("compile", "main.flow", *words)
    assert done.exit_code == 2
    assert message in done.stderr


@pytest.mark.usefixtures("without")
def test_without_a_gpu_cuda_is_refused_before_anything_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_build, "build_for_device", None)
    done = flowc("run", "main.flow", "--target", "cuda", ARGUMENT)
    assert done.exit_code == 3
    assert "error[E0780]" in done.stderr
    assert "nobody put one in" in done.stderr


@pytest.mark.usefixtures("without")
def test_without_a_gpu_auto_runs_on_the_processor_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_build, "build_for_device", None)
    done = flowc("run", "main.flow", "--target", "auto", "--explain", ARGUMENT)
    assert done.exit_code == 0, done.stderr
    assert done.stdout == flowc("run", "main.flow", ARGUMENT).stdout
    assert "squashed: on the processor, as there is no GPU" in done.stderr


@pytest.mark.usefixtures("without")
def test_the_configured_target_holds_unless_another_is_given(program: Path) -> None:
    (program / "flowc.toml").write_text('[run]\ntarget = "cuda"\n')
    assert "error[E0780]" in flowc("run", "main.flow", ARGUMENT).stderr
    assert flowc("run", "main.flow", "--target", "cpu", ARGUMENT).exit_code == 0
    (program / "flowc.toml").write_text('[run]\ntarget = "tpu"\n')
    done = flowc("run", "main.flow", ARGUMENT)
    assert done.exit_code == 2
    assert "target in [run] must be cpu, cuda or auto, not tpu" in done.stderr


@needs_compiler
def test_a_program_runs_on_the_device_that_is_there(emulated: EmulatedDevice, tmp_path: Path) -> None:
    words = ("run", "main.flow", "--target", "cuda", ARGUMENT, "--trace", "t.json", "--output-format=json")
    done = flowc(*words)
    assert done.exit_code == 0, done.stderr
    here = json.loads(flowc("run", "main.flow", ARGUMENT, "--output-format=json").stdout)["result"]
    assert json.loads(done.stdout)["result"]["data"] == [pytest.approx(here["data"][0], rel=1e-6)]
    events = json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    (span,) = [event for event in events if event.get("cat") == "device"]
    (call,) = [event for event in events if event.get("cat") == "kernel"]
    assert span["name"] == "squashed"
    assert call["ts"] <= span["ts"]
    assert span["ts"] + span["dur"] <= call["ts"] + call["dur"]


@needs_compiler
@pytest.mark.usefixtures("unreduced")
def test_kernels_without_code_for_gpus_are_refused_for_cuda_and_stay_for_auto(
    emulated: EmulatedDevice,
) -> None:
    done = flowc("run", "main.flow", "--target", "cuda", ARGUMENT)
    assert done.exit_code == 1
    assert "error[E0787]: kernel `shared` has no form for target cuda" in done.stderr
    assert "main.flow:6:16" in done.stderr
    done = flowc("run", "main.flow", "--target", "auto", "--explain", ARGUMENT)
    assert done.exit_code == 0, done.stderr
    assert "shared: on the processor, as a GPU has no code for it: array.reduce has no" in done.stderr
    assert "squashed: 1 x on the processor, as " in done.stderr
    assert "is expected on the processor" in done.stderr


@pytest.mark.usefixtures("without")
@pytest.mark.parametrize("code", ["E0677", "E0678"])
def test_without_code_by_nvrtc_cuda_is_refused_and_auto_is_the_processor(
    code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> Any:
        raise fail(code, "there is no NVRTC that would do")

    monkeypatch.setattr(cuda, "compile_kernels", failing)
    words = ("compile", "main.flow", "--gpu-arch", "sm_90", "-o", "a.flowc", "--target")
    monkeypatch.setattr(nvrtc, "architectures", lambda: ("sm_90",))
    assert f"error[{code}]" in flowc(*words, "cuda").stderr
    done = flowc(*words, "auto")
    assert done.exit_code == 0, done.stderr
    reasons = read(Path("a.flowc")).properties["without_gpu"]
    said = "there is no code for a GPU: there is no NVRTC that would do"
    assert reasons == {"squashed": said, "shared": said}
    assert flowc("run", "a.flowc", ARGUMENT).exit_code == 0


@needs_compiler
@needs_nvrtc
@pytest.mark.usefixtures("unreduced")
def test_an_artifact_for_either_is_refused_for_cuda_with_what_it_remembers(
    monkeypatch: pytest.MonkeyPatch, emulated: EmulatedDevice
) -> None:
    done = flowc("compile", "main.flow", "--target", "auto", "--gpu-arch", "sm_90", "-o", "a.flowc")
    assert done.exit_code == 0, done.stderr
    done = flowc("run", "a.flowc", "--target", "cuda", ARGUMENT)
    assert "error[E0787]: kernel `shared` has no form for target cuda" in done.stderr
    assert "array.reduce has no device code" in done.stderr
    assert flowc("run", "a.flowc", "--target", "auto", ARGUMENT).exit_code == 0


@needs_nvrtc
@pytest.mark.usefixtures("unreduced", "without")
def test_an_artifact_remembers_why_a_kernel_has_no_code_for_gpus() -> None:
    done = flowc("compile", "main.flow", "--target", "auto", "--gpu-arch", "sm_90", "-o", "a.flowc")
    assert done.exit_code == 0, done.stderr
    code = device_kernels_in(read(Path("a.flowc")))
    assert code is not None
    assert [each.name for each in code.signatures] == ["squashed"]
    assert "array.reduce" in str(read(Path("a.flowc")).properties["without_gpu"])
