"""What can be wrong with a GPU, or with what it is asked for, in the words of the one who asks."""

from collections.abc import Sequence

from flowc.runtime.errors import FlowError, fail
from flowc.runtime.kernel_failures import place_of
from flowc.runtime.kernel_signature import KernelSignature

ON_PROCESSOR = 'run it on the processor: `--target cpu`, or `target="cpu"` of the decorator'


def no_device(why: str) -> FlowError:
    """There is no GPU that could be used."""
    return fail("E0780", "there is no GPU that kernels could run on", why=why, help=ON_PROCESSOR)


def not_installed(why: str) -> FlowError:
    """CuPy, which reaches the GPU, cannot be imported."""
    return fail(
        "E0781",
        "kernels on a GPU need CuPy, and it cannot be imported",
        why=why,
        help="`pip install 'flowc[cuda13]'`, or `flowc[cuda12]` for drivers before 580; or " + ON_PROCESSOR,
    )


def old_driver(has: int, needs: int) -> FlowError:
    """The driver is older than the CUDA that CuPy was built for; versions as CUDA counts them, 12040 for
    12.4."""
    return fail(
        "E0782",
        f"the GPU's driver is for CUDA {_version(has)}, and CuPy here for CUDA {_version(needs)}",
        why="a driver runs programs of its own version and older ones",
        help="update the driver, or `pip install 'flowc[cuda12]'` in place of `flowc[cuda13]`",
    )


def _version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"


def no_memory(signature: KernelSignature, device: str, needs: int, free: int, why: str = "") -> FlowError:
    """The arrays of a call, or its temporaries, do not fit on the device."""
    return fail(
        "E0783",
        f"{place_of(signature)} needs more memory than {device} has left",
        why=why or f"its arrays take {needs:,} bytes, and {free:,} can be had",
        help="work on fewer rows at a time, free arrays on the GPU, or " + ON_PROCESSOR,
    )


def elsewhere(name: str, there: int, here: int) -> FlowError:
    """An array lies on another device than that of the call."""
    return fail(
        "E0784",
        f"an array lies on GPU {there}, and the kernel runs on GPU {here}, {name}",
        why="a kernel reads the memory of its own GPU",
        help=f"copy it: `with cupy.cuda.Device({here}): x = cupy.array(x)`, or call the kernel under "
        f"`with cupy.cuda.Device({there}):`",
    )


_ANSWERS = {
    1: "a size of it is none that the device takes",
    2: "there is no memory left",
    209: "the code is for another device",
    700: "a kernel before it reached outside of memory",
    701: "it takes more registers or shared memory than a block can have",
    719: "a kernel before it failed",
}
"""The usual answers to a launch, as `CUresult` numbers them."""


def refused_launch(answer: int) -> str:
    """What a driver's answer to a launch means; 0 where it is not known."""
    said = f" with CUresult {answer}" if answer else ""
    return f"its driver refused a launch{said}" + (f": {_ANSWERS[answer]}" if answer in _ANSWERS else "")


def stopped(signature: KernelSignature, device: str, why: str) -> FlowError:
    """The device did not do what it was asked for."""
    return fail(
        "E0785",
        f"{device} could not go on with {place_of(signature)}",
        why=why,
        help=ON_PROCESSOR,
    )


def foreign(device: str, architecture: str, known: Sequence[str], why: str) -> FlowError:
    """There is no code for a card of this architecture."""
    return fail(
        "E0786",
        f"the kernels have no code for {device}, which is {architecture}",
        why=f"they were compiled for {', '.join(known) or 'no GPU'}; {why}",
        help=f"compile the program again with `--gpu-arch {architecture}`, or " + ON_PROCESSOR,
    )


def without_form(kernel: str, why: str) -> FlowError:
    """A kernel that was compiled for `auto`, and has code for the processor alone."""
    return fail(
        "E0787",
        f"kernel `{kernel}` has no form for target cuda",
        why=why,
        help="run it on the processor, `--target cpu`, or let flowc choose for each kernel: `--target auto`",
    )


def damaged(why: str) -> FlowError:
    """Code that the driver refuses."""
    return fail(
        "E0695",
        "the device code of the kernels cannot be loaded",
        why=why,
        help="compile the program again",
    )
