"""How the tests of this folder call kernels on a card, with host memory in place of its own."""

import importlib
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from attrs import evolve, frozen

from flowc.compiler.backends.cuda.emulated import Call
from flowc.runtime.device.code import DeviceCode
from flowc.runtime.errors import fail
from tests.runtime.device.stand_in import MATRIX, SAME, signature


@frozen
class Pointer:
    """`cupy.cuda.MemoryPointer`, of memory that stays where it is."""

    memory: Any
    offset: int = 0

    def __add__(self, offset: int) -> "Pointer":
        return Pointer(self.memory, self.offset + offset)


class Array(np.ndarray[Any, Any]):
    """`cupy.ndarray`."""

    def __new__(cls, shape: Any, dtype: Any, pointer: Pointer, strides: Any) -> "Array":
        return super().__new__(cls, shape, dtype, pointer.memory, pointer.offset, strides)


@pytest.fixture
def on_card(monkeypatch: pytest.MonkeyPatch) -> Any:
    cupy = SimpleNamespace(
        ndarray=Array,
        asarray=lambda array: SimpleNamespace(data=Pointer(array.copy())),
        asnumpy=lambda array: np.array(array, copy=True).view(np.ndarray),
    )
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.delitem(sys.modules, "tests.cuda.on_card", raising=False)
    found = importlib.import_module("tests.cuda.on_card")
    monkeypatch.delitem(sys.modules, "tests.cuda.on_card")
    return found


def kernel(function: Any, described: Any) -> Any:
    function.signature = described
    return function


def test_a_call_gets_arrays_that_lie_as_those_given_do_and_gives_numpys(
    on_card: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def doubled(x: Any) -> Any:
        seen.append(x.strides)
        return (2 * np.asarray(x)).view(Array)

    loaded = {"doubled": kernel(doubled, signature(MATRIX, results=[SAME]))}
    monkeypatch.setattr(on_card, "load_device", lambda code, recompile: loaded)
    x = np.arange(24, dtype=np.float32).reshape(4, 6)
    views = [x, x[::2, ::-1], x.T[1:], x[:0]]
    found = on_card.run(
        DeviceCode(b"", (), ()), [Call("doubled", (each,)) for each in views], order="reverse"
    )
    assert seen == [each.strides for each in views]
    for result, view in zip(found, views, strict=True):
        assert type(result) is np.ndarray
        np.testing.assert_array_equal(result, 2 * view)


def test_what_a_kernel_writes_in_place_comes_back_and_errors_are_given(
    on_card: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raised(x: Any) -> None:
        x += 1
        if x[0, 0] > 5:
            raise fail("E0751", "outside")

    described = signature(evolve(MATRIX, written=True))
    monkeypatch.setattr(on_card, "load_device", lambda code, recompile: {"raised": kernel(raised, described)})
    x = np.zeros((2, 3), np.float32)
    first, second = on_card.run(DeviceCode(b"", (), ()), [Call("raised", (x,)), Call("raised", (x + 9,))])
    assert first is None
    assert x.tolist() == [[1, 1, 1]] * 2
    assert second.problem.code == "E0751"
