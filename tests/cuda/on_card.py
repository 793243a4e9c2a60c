"""Kernels on the card that is here, called as `emulated.run` calls them on the emulated device."""

from collections.abc import Sequence
from typing import Any

import cupy
import numpy as np
from xdsl.dialects.builtin import ModuleOp

from flowc.compiler.backends.cuda import emulated, nvrtc
from flowc.runtime.device.code import DeviceCode
from flowc.runtime.device.loading import load_device
from flowc.runtime.errors import FlowError
from flowc.runtime.kernel_arguments import fitting
from flowc.runtime.kernel_outputs import check_written
from tests.cuda.lying import spread


def run(kernels: ModuleOp | DeviceCode, calls: Sequence[emulated.Call], **asked: object) -> list[Any]:
    """What each call gives, with arrays on the card that lie as those given do; what it writes in place is in
    those afterwards. How an emulation is asked to go about it means nothing to a card."""
    code = emulated.compile_for_emulation(kernels) if isinstance(kernels, ModuleOp) else kernels
    loaded = load_device(code, recompile=lambda text, card: nvrtc.compile_text(text, card).cubin)
    return [_called(loaded[call.kernel], call.arguments) for call in calls]


def _called(kernel: Any, arguments: Sequence[Any]) -> Any:
    try:
        check_written(kernel.signature, fitting(kernel.signature, arguments))  # there, all are apart
        there = [_moved(each) if isinstance(each, np.ndarray) else each for each in arguments]
        found = kernel(*there)
    except FlowError as error:
        return error
    for parameter, given, array in zip(kernel.signature.params, arguments, there, strict=True):
        if parameter.written:
            given[...] = cupy.asnumpy(array)
    return tuple(map(_back, found)) if isinstance(found, tuple) else _back(found)


def _moved(array: Any) -> Any:
    """The array on the card, with the same strides."""
    whole, start = spread(array)
    memory = cupy.asarray(whole)
    return cupy.ndarray(array.shape, array.dtype, memory.data + start, array.strides)


def _back(value: Any) -> Any:
    """A result as the processor's kernels give it."""
    if not isinstance(value, cupy.ndarray):
        return value
    found = cupy.asnumpy(value)
    return found if found.ndim else found[()]


def without_pool() -> None:
    """Gives each array memory of its own from the driver, so that a sanitizer knows where it ends."""
    cupy.cuda.set_allocator(None)
