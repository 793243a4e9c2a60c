"""Arrays at the edges: .npy files."""

from pathlib import Path
from typing import TYPE_CHECKING

from flowc.runtime.errors import fail

if TYPE_CHECKING:
    import numpy


def read_npy(path: Path) -> "numpy.ndarray":
    """Reads a .npy file. Object arrays are refused, for they would run code."""
    import numpy

    try:
        array = numpy.load(path, allow_pickle=False, mmap_mode=None)
    except FileNotFoundError:
        raise fail("E0706", f"there is no file {path}", help="check the path of the array") from None
    except Exception as error:  # of a broken header NumPy lets through whatever its readers meet
        raise fail(
            "E0706",
            f"{path} cannot be read as a .npy file",
            why=str(error).splitlines()[0] if str(error) else type(error).__name__,
            help="write it with numpy.save, without objects inside",
        ) from None
    if not isinstance(array, numpy.ndarray):
        raise fail("E0706", f"{path} holds several arrays", help="give one array a .npy file of its own")
    return array


def write_npy(path: Path, array: object) -> None:
    """Writes one array. bf16, which the format does not know, is written as f32."""
    import numpy

    written = numpy.asarray(array)
    if written.dtype.kind not in "biuf":
        written = written.astype("float32")
    try:
        numpy.save(path, written, allow_pickle=False)
    except OSError as error:
        raise fail("E0706", f"{path} cannot be written", why=str(error)) from None
