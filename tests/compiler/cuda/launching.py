"""Hand-written gpu modules for tests: their text, and what their kernels do on the emulated device."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import field, frozen
from xdsl.dialects import gpu
from xdsl.parser import Parser

from flowc.compiler.backends.cuda.emulated_children import run_program
from flowc.compiler.backends.cuda.emulation import emulate
from flowc.compiler.backends.cuda.text import print_module
from flowc.dialects.registry import context

_CHILD = Path(__file__).with_name("launching_child.py")
_SECONDS = 100.0
Array = npt.NDArray[Any]


class Reported(Exception):
    """The child process ended early; the text is what it said."""


@frozen
class Launch:
    """A launch of the `kernel`-th kernel of a module. Arrays are passed as pointers, NumPy's numbers as they
    are."""

    parameters: Sequence[Any]
    kernel: int = 0
    grid: tuple[int, int, int] = (1, 1, 1)
    block: tuple[int, int, int] = (32, 1, 1)
    shared: int = 0


@frozen
class Kernel:
    """A kernel as IR: its parameters with their types, the ops of its body, attributes of the function."""

    parameters: dict[str, str]
    body: str
    name: str = "k"
    marks: dict[str, str] = field(factory=dict)

    @property
    def ir(self) -> str:
        """The gpu.func."""
        types = ", ".join(self.parameters.values())
        arguments = ", ".join(f"%{name}: {type_}" for name, type_ in self.parameters.items())
        marks = "".join(f', "{name}" = {mark}' for name, mark in self.marks.items())
        return (
            f'"gpu.func"() <{{function_type = ({types}) -> (), kernel}}> ({{\n^bb0({arguments}):\n'
            f'{_operations(self.body)}\n"gpu.return"() : () -> ()\n}})'
            f' {{sym_name = "{self.name}"{marks}}} : () -> ()'
        )


def _operations(body: str) -> str:
    """The ops of a body, with short forms of those that xDSL has no short form for."""
    ids = ("block_id", "thread_id", "grid_dim", "block_dim")
    for kind in ids:
        for axis in "xyz":
            long = f'"gpu.{kind}"() <{{dimension = #gpu<dim {axis}>}}> : () -> index'
            body = body.replace(f"gpu.{kind} {axis}", long)
    return body.replace("gpu.barrier", '"gpu.barrier"() : () -> ()')


def parsed(*kernels: Kernel) -> gpu.ModuleOp:
    """A verified gpu.module."""
    functions = "\n".join(kernel.ir for kernel in kernels)
    text = f'"gpu.module"() <{{sym_name = "kernels"}}> ({{\n{functions}\n}}) : () -> ()'
    module = Parser(context(everything=True), text).parse_module()
    module.verify()
    found = module.body.block.first_op
    assert isinstance(found, gpu.ModuleOp)
    return found


def text_of(*kernels: Kernel) -> str:
    """The CUDA C++ of kernels."""
    return print_module(parsed(*kernels))


def body_of(text: str, name: str = "k") -> str:
    """What stands between the braces of a kernel, without the types of indices."""
    after = text[text.index(f" {name}(") :]
    lines = after[after.index("{\n") + 2 : after.index("\n}\n")].splitlines()
    return "\n".join(line for line in lines if not line.startswith("  using "))


def run(text: str, *launches: Launch, order: str = "forward", seed: int = 0, sanitize: bool = True) -> None:
    """Launches the kernels of a text; arrays change in place. Raises Reported where something is wrong."""
    library = emulate.build(text, sanitize=sanitize)
    arrays: dict[int, tuple[str, Array]] = {}
    described = [_described(launch, arrays) for launch in launches]
    with tempfile.TemporaryDirectory() as folder:
        given = {
            "library": str(library),
            "order": order,
            "seed": seed,
            "arrays": [name for name, _ in arrays.values()],
            "launches": described,
        }
        for name, array in arrays.values():
            (Path(folder) / name).write_bytes(array.tobytes())
        (Path(folder) / "launches.json").write_text(json.dumps(given))
        status = run_program(_CHILD, Path(folder), sanitize=sanitize, seconds=_SECONDS)
        if status:
            said = (Path(folder) / "said").read_text(errors="replace")
            raise Reported(f"status {status}\n{said}")
        for name, array in arrays.values():
            content = np.frombuffer((Path(folder) / name).read_bytes(), array.dtype)
            array[...] = content.reshape(array.shape)


def _described(launch: Launch, arrays: dict[int, tuple[str, Array]]) -> dict[str, Any]:
    parameters = []
    for value in launch.parameters:
        if isinstance(value, np.ndarray):
            name, _ = arrays.setdefault(id(value), (f"array{len(arrays)}", value))
            parameters.append(("array", name))
        else:
            parameters.append(("number", value.tobytes().hex()))
    sizes = {"grid": launch.grid, "block": launch.block, "shared": launch.shared, "kernel": launch.kernel}
    return {"parameters": parameters, **sizes}
