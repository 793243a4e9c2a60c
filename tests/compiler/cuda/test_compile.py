"""Kernels compiled for GPUs: what comes out, for which cards, and what is kept on disk."""

from pathlib import Path

import pytest
from attrs import evolve
from xdsl.dialects.builtin import ModuleOp

from flowc.compiler.backends import cuda, llvm
from flowc.compiler.backends.cuda import nvrtc, portable_architecture
from flowc.runtime.kernels import unsealed
from tests.cuda.written import SCALE, by_hand, module_of

HEAD = "kernel scale(x: f32[n], f: f32) -> f32[n]:\n    return x * f\n"
DENSE = ("contiguous", "contiguous")
needs_nvrtc = pytest.mark.skipif(not nvrtc.available(), reason="NVRTC is not installed")


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWC_CACHE_DIR", str(tmp_path))


def text_only(module: ModuleOp, **options: object) -> cuda.DeviceObject:
    return cuda.compile_kernels(module, evolve(cuda.Options(architectures=()), **options))


def test_text_alone_needs_no_architecture() -> None:
    made = by_hand(HEAD, SCALE, DENSE)
    assert made.code.functions == ("scale_0_scaled",)
    assert "scale_0_scaled" in made.code.text
    assert (made.code.cubins, made.code.ptx, made.code.ptx_architecture, made.figures) == ({}, b"", "", ())
    assert unsealed(made.code.host).startswith(b"\x7fELF")


def test_narrow_and_wide_code_that_is_the_same_is_one_function() -> None:
    """The hand-written lowering gives the same text for both."""
    assert len(by_hand(HEAD, SCALE, DENSE).code.functions) == 1


def test_the_signature_is_that_of_the_processor() -> None:
    module = module_of(HEAD)
    (wanted,) = llvm.compile_kernels(module, llvm.Options(cached=False)).signatures
    (dense,), (any_,) = by_hand(HEAD, SCALE, DENSE).code.signatures, text_only(module).code.signatures
    for got in (dense, any_):
        same = (got.name, got.params, got.results, got.sites)
        assert same == (wanted.name, wanted.params, wanted.results, wanted.sites)
    assert (dense.layouts, any_.layouts) == (DENSE, ())


@needs_nvrtc
def test_each_architecture_has_machine_code_and_figures() -> None:
    made = by_hand(HEAD, SCALE, DENSE, ("sm_75", "sm_90"))
    assert sorted(made.code.cubins) == ["sm_75", "sm_90"]
    assert all(cubin.startswith(b"\x7fELF") for cubin in made.code.cubins.values())
    assert made.code.cubins["sm_75"] != made.code.cubins["sm_90"]
    assert b".target sm_90" in made.code.ptx
    assert made.code.ptx_architecture == "sm_90"
    figures = [(each.kernel, each.architecture) for each in made.figures]
    assert figures == [("scale_0_scaled", "sm_75"), ("scale_0_scaled", "sm_90")]
    assert all(0 < each.registers <= 32 and not each.spill_bytes for each in made.figures)


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ((), ""),
        (("sm_75",), "sm_75"),
        (("sm_70", "sm_75"), "sm_75"),
        (("sm_120", "sm_90", "sm_100"), "sm_90"),
        (("sm_75", "sm_80", "sm_90"), "sm_80"),
    ],
)
def test_ptx_is_for_the_cards_that_have_no_code_of_their_own(asked: tuple[str, ...], wanted: str) -> None:
    assert portable_architecture(asked) == wanted


@pytest.mark.usefixtures("empty_cache")
def test_code_is_kept_on_disk() -> None:
    module = module_of(HEAD)
    first, second = text_only(module), text_only(module)
    assert (first.from_cache, second.from_cache) == (False, True)
    assert second.code == first.code
    assert not text_only(module, cached=False).from_cache


@pytest.mark.usefixtures("empty_cache")
@needs_nvrtc
def test_machine_code_and_figures_are_kept_too() -> None:
    module, options = module_of(HEAD), cuda.Options(architectures=("sm_80",))
    first, second = cuda.compile_kernels(module, options), cuda.compile_kernels(module, options)
    assert second.from_cache
    assert second == evolve(first, from_cache=True)


@pytest.mark.usefixtures("empty_cache")
@pytest.mark.parametrize(
    "options", [{"level": 0}, {"layouts": DENSE}, {"layouts": ("any", "any")}], ids=["level", "dense", "any"]
)
def test_other_options_are_other_code(options: dict[str, object]) -> None:
    module = module_of(HEAD)
    text_only(module)
    assert not text_only(module, **options).from_cache


@pytest.mark.usefixtures("empty_cache")
def test_code_survives_edits_above_it() -> None:
    checked = "kernel pick(x: f32[n], i: i64) -> f32:\n    return x[i]\n"
    text_only(module_of(checked))
    moved = text_only(module_of(f"# a line\n\n{checked}"))
    assert moved.from_cache
    fresh = text_only(module_of(f"# a line\n\n{checked}"), cached=False)
    assert moved.code.signatures == fresh.code.signatures
    assert moved.code.signatures[0].sites
