"""What a child needs of each library: arrays on the GPU, the forms of a kernel, results back, a clock."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from benchmarks.gpu import clocks
from benchmarks.gpu.kernel import Arrays, GpuKernel
from benchmarks.kernels.child import result
from benchmarks.worker import Call

Calls = Mapping[str, Call]


class Library(NamedTuple):
    """A library: the module that it is, its calls of a kernel on inputs of the host, results as NumPy's
    arrays, its clock by the bytes that a kernel moves, and what waits for the GPU."""

    module: str
    calls: Callable[[GpuKernel, Arrays], Calls]
    back: Callable[[Any], Any]
    clock: Callable[[float], clocks.Clock]


def in_cupy(kernel: GpuKernel, arrays: Arrays) -> list[Any]:
    """The inputs as CuPy's arrays."""
    import cupy

    dtype: Any = np.dtype(np.float16) if kernel.dtype == "f16" else None
    if kernel.dtype == "bf16":
        import ml_dtypes

        dtype = np.dtype(ml_dtypes.bfloat16)
    moved = (cupy.asarray(each) for each in arrays.values())
    return [each.astype(dtype) if dtype is not None and each.dtype == np.float32 else each for each in moved]


def _flowc(kernel: GpuKernel, arrays: Arrays) -> Calls:
    import flowc
    from benchmarks.gpu.programs import program

    given = in_cupy(kernel, arrays)
    called = flowc.jit(target="cuda")(program(kernel.name))
    calls: dict[str, Call] = {"flowc": partial(called, *given)}
    if kernel.bound == "orders":
        again: Any = flowc.jit(target="cuda")(program(kernel.name))
        again.specialisation(tuple(given)).kernel.graphs.refused = True  # as the first two calls are
        calls["flowc without graph"] = partial(again, *given)
    return calls


def _cupy(kernel: GpuKernel, arrays: Arrays) -> Calls:
    from benchmarks.gpu.in_cupy import forms

    return _bound(forms(kernel.name), in_cupy(kernel, arrays))


def _in_torch(kernel: GpuKernel, arrays: Arrays) -> list[Any]:
    import torch

    torch.set_grad_enabled(False)
    dtype = {"bf16": torch.bfloat16, "f16": torch.float16}.get(kernel.dtype, torch.float32)
    moved = (torch.from_numpy(np.asarray(each)).cuda() for each in arrays.values())
    return [each.to(dtype) if each.dtype == torch.float32 else each for each in moved]


def _torch(kernel: GpuKernel, arrays: Arrays) -> Calls:
    from benchmarks.gpu.in_torch import forms, recorded

    given = _in_torch(kernel, arrays)
    calls = _bound(forms(kernel.name), given)
    return calls | recorded(kernel.name, given) if kernel.bound == "orders" else calls


def _torch_compile(kernel: GpuKernel, arrays: Arrays) -> Calls:
    from benchmarks.gpu.in_torch import compiled

    return _bound(compiled(kernel.name), _in_torch(kernel, arrays))


def _triton(kernel: GpuKernel, arrays: Arrays) -> Calls:
    from benchmarks.gpu.in_triton import forms

    return _bound(forms(kernel.name), _in_torch(kernel, arrays))


def _jax(kernel: GpuKernel, arrays: Arrays) -> Calls:
    import jax
    from jax import numpy as jnp

    from benchmarks.gpu.in_jax import forms

    dtype = {"bf16": jnp.bfloat16, "f16": jnp.float16}.get(kernel.dtype, jnp.float32)
    moved = (jnp.asarray(each) for each in arrays.values())
    given = [each.astype(dtype) if each.dtype == jnp.float32 else each for each in moved]
    return _bound(forms(kernel.name), [jax.block_until_ready(each) for each in given])


def _bound(forms: Mapping[str, Callable[..., Any]], given: list[Any]) -> Calls:
    return {name: partial(form, *given) for name, form in forms.items()}


def _from_cupy(found: Any) -> Any:
    return _plain(result(found).get())


def _from_torch(found: Any) -> Any:
    import torch

    tensor = result(found)
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).cpu().numpy()


def _from_jax(found: Any) -> Any:
    return _plain(np.asarray(result(found)))


def _plain(array: Any) -> Any:
    """An array in NumPy's own dtypes, of which bf16 is none."""
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array


LIBRARIES: Mapping[str, Library] = {
    "flowc": Library("cupy", _flowc, _from_cupy, lambda moved: clocks.by_cupy()),
    "cupy": Library("cupy", _cupy, _from_cupy, lambda moved: clocks.by_cupy()),
    "torch": Library("torch", _torch, _from_torch, lambda moved: clocks.by_torch()),
    "torch_compile": Library("torch", _torch_compile, _from_torch, lambda moved: clocks.by_torch()),
    "triton": Library("triton", _triton, _from_torch, lambda moved: clocks.by_torch()),
    "jax": Library("jax", _jax, _from_jax, clocks.by_jax),
}
