"""The kernels of a program for a target: on the processor, on a GPU, or wherever a call is expected to end
first."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

from flowc.runtime.device.code import DeviceCode
from flowc.runtime.device.failures import ON_PROCESSOR, without_form
from flowc.runtime.device.images import Recompile
from flowc.runtime.device.loading import load_device
from flowc.runtime.device.placing import Place, placed_kernels, usual
from flowc.runtime.device.presence import absence
from flowc.runtime.errors import fail

Target = Literal["cpu", "cuda", "auto"]
"""What kernels can be compiled for."""


def compiled_for(target: str) -> str:
    """What kernels that run on this machine at once are compiled for: without a GPU, `auto` is the processor.

    Raises FlowError (E0780 to E0782) for the target `cuda` where there is no GPU.
    """
    missing = None if target == "cpu" else absence()
    if missing is not None and target == "cuda":
        raise missing
    return target if missing is None else "cpu"


def kernels_for(
    target: str,
    processor: Mapping[str, Callable[..., Any]],
    code: DeviceCode | None,
    *,
    refused: Mapping[str, str] | None = None,
    recompile: Recompile | None = None,
    placing: Callable[[], Place] | None = None,
) -> Mapping[str, Callable[..., Any]]:
    """The kernels of a program by name. For `auto`, `placing` makes what says where calls run; it is asked
    where there is a choice.

    Raises FlowError for the target `cuda` where there is no GPU (E0780 to E0782), no code for one (E0786), or
    a kernel without it (E0787).
    """
    if target == "cpu" or not processor:
        return processor
    if target == "auto":
        if code is None:
            return placed_kernels(processor, dict, usual, refused)
        place = usual if placing is None or absence() is not None else placing()
        return placed_kernels(processor, partial(load_device, code, recompile=recompile), place, refused)
    missing = absence()
    if missing is not None:
        raise missing
    found = {} if code is None else load_device(code, recompile=recompile)
    for name in processor:
        if name not in found and name in (refused or {}):
            raise without_form(name, (refused or {})[name])
    if code is None:
        raise fail(
            "E0786",
            "the kernels have no code for GPUs",
            why="they were compiled for the processor alone",
            help="compile the program again with `--target cuda`, or " + ON_PROCESSOR,
        )
    return found
