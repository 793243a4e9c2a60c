"""From compiled kernels to functions of Python that run on a GPU."""

from collections.abc import Callable
from ctypes import CFUNCTYPE, c_char_p, c_int64

from flowc.runtime.device.calls import Native
from flowc.runtime.device.code import DeviceCode
from flowc.runtime.device.images import Recompile
from flowc.runtime.device.kernel import DeviceKernel
from flowc.runtime.device.presence import current_site
from flowc.runtime.device.site import Library, Site
from flowc.runtime.kernel_calls import frame
from flowc.runtime.kernels import symbol, unsealed


def load_device(
    code: DeviceCode, *, find: Callable[[], Site] = current_site, recompile: Recompile | None = None
) -> dict[str, DeviceKernel]:
    """Maps the host code of kernels into the process, and gives them by name.

    `find` gives the device of a call; it loads device code at the first. `recompile` makes code for a card
    that there is none for. Raises FlowError (E0695) for damaged code.
    """
    from flowc.runtime.native.library import library
    from flowc.runtime.native.linking import link

    names = [symbol(each.name) for each in code.signatures]
    found = link(unsealed(code.host), names, library().addresses)
    shared = Library(code, recompile)
    kernels = {}
    for signature in code.signatures:
        function = CFUNCTYPE(c_int64, c_char_p)(found.addresses[symbol(signature.name)])
        called = Native(frame(signature, function), shared, found.memory)
        kernels[signature.name] = DeviceKernel(called, find)
    return kernels
