"""Whether there is a GPU, asked with as little as possible: where there is no driver nothing is imported."""

from functools import cache
from importlib.util import find_spec

from flowc.runtime.device.driver import driver
from flowc.runtime.device.failures import no_device, not_installed
from flowc.runtime.device.site import Site
from flowc.runtime.errors import FlowError


def current_site() -> Site:
    """The GPU of a call: CuPy's current one.

    Raises FlowError: E0780 where there is none, E0781 without CuPy, E0782 for a driver that is too old for
    it.
    """
    try:
        driver()
    except OSError as error:
        raise no_device(f"NVIDIA's driver is not installed ({error})") from None
    if find_spec("cupy") is None:
        raise not_installed("it is not installed")
    try:
        from flowc.runtime.device import cupy_device
    except ImportError as error:
        raise not_installed(str(error).strip().partition("\n")[0]) from None
    return cupy_device.current()


@cache
def absence() -> FlowError | None:
    """Why there is no GPU, None where there is one; found out once."""
    try:
        current_site()
    except FlowError as error:
        return error
    return None
