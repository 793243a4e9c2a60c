"""A kernel on a device as a function of Python, like `runtime.kernels.Kernel` on the processor.

It takes arrays of NumPy, of CuPy, and of whoever shows memory by `__cuda_array_interface__` or DLPack; what
is on the device is used where it lies. Results stay there where an argument was there, in the order of the
caller's stream and without waiting; else they come back to host memory.
"""

from collections.abc import Callable, Sequence
from typing import Any

from attrs import evolve, field, frozen

from flowc.runtime.buffers import empty
from flowc.runtime.device.arguments import Given, fitting
from flowc.runtime.device.calls import Native, OutOfMemory, memory_failure, perform
from flowc.runtime.device.chunks import Cut, cut, run_pieces, smaller
from flowc.runtime.device.failures import stopped
from flowc.runtime.device.following import Ahead, all_arrays
from flowc.runtime.device.graphs import Graphs
from flowc.runtime.device.outputs import Destination, destinations, returned
from flowc.runtime.device.protocol import Device, Stream
from flowc.runtime.device.quick import Key, Known, key_of, known_of, targets_of, values_of
from flowc.runtime.device.site import Site
from flowc.runtime.device.table import Lane
from flowc.runtime.device.transfers import Shape, delivered, needed, placed
from flowc.runtime.dtypes import numpy_dtype
from flowc.runtime.errors import FlowError
from flowc.runtime.kernel_calls import shapes
from flowc.runtime.kernel_failures import too_large
from flowc.runtime.kernel_signature import KernelSignature

REMEMBERED = 4096
"""How many combinations of dtypes, shapes and strides a kernel remembers before it forgets all."""


@frozen(eq=False)
class DeviceKernel:
    """A callable on arrays and numbers, safe to use from several threads at once; releases the GIL.

    `find` gives the device of a call, the caller's current one. No call holds more of the device's memory
    than `limit` bytes at once, where the kernel can go by pieces. In a plan `stay` says whether results are
    left on the device, wherever arguments lie; a call has ended there when it returns, so that whoever reads
    them need not know in which stream they were made.
    """

    native: Native
    find: Callable[[], Site]
    limit: int | None = None
    stay: bool | None = None
    graphs: Graphs = field(factory=Graphs)
    known: dict[Key, Known] = field(factory=dict)

    @property
    def signature(self) -> KernelSignature:
        """What callers must know."""
        return self.native.frame.signature

    def __call__(self, *arguments: object, out: object = None) -> Any:
        """The result, or a tuple of several; with `out`, written there, one array or a tuple of them.

        Raises FlowError where arguments, values or buffers do not fit, where there is no device, and where
        its memory is too small.
        """
        return self.call(arguments, out)

    def within(self, limit: int) -> "DeviceKernel":
        """The same kernel under a limit of memory, in bytes."""
        return evolve(self, limit=limit)

    def in_plan(self, stay: bool) -> "DeviceKernel":
        """The same kernel as a step of a plan, whose results stay on the device or do not."""
        return evolve(self, stay=stay and all_arrays(self.signature))

    def step(self, arguments: Sequence[object], ahead: Ahead) -> Any:
        """A call in a plan."""
        return self.call(arguments)

    def shapes(self, arguments: Sequence[Any]) -> list[Shape]:
        """The shapes of the results of a call with these arguments."""
        return shapes(self.native.frame, arguments)

    def fetched(self, argument: Any) -> Any:
        """An argument in host memory, copied there if it is on the device; raises FlowError (E0785) for what
        the device reports meanwhile."""
        device = self.find().device
        try:
            return self._copied_here(device, argument)
        except device.faults as error:
            raise self._faulted(device, error) from error

    def _copied_here(self, device: Device, argument: Any) -> Any:
        array = device.find(argument)
        if array is None:
            return argument
        host = empty(array.shape, array.dtype)
        stream = device.current_stream()
        with device.on(stream):
            dense = array if array.flags.c_contiguous else array.copy(order="C")
            device.get(dense, host, stream)
            stream.wait()
        return host if host.ndim else host[()]

    def prepare(self, arguments: tuple[Any, ...]) -> tuple[tuple[Any, ...], Callable[..., Any]]:
        """The arguments, and the call for such, as `runtime.kernels.Kernel` gives them."""
        return arguments, self.call

    def call(self, arguments: Sequence[object], out: object = None) -> Any:
        """As a plain call, with the arguments in one sequence."""
        site = self.find()
        try:
            return self._called(site, arguments, out)
        except site.device.faults as error:
            raise self._faulted(site.device, error) from error

    def _faulted(self, device: Device, error: BaseException) -> FlowError:
        """What a device reports late, of this call or of one before it."""
        return stopped(self.signature, device.name, str(error))

    def _called(self, site: Site, arguments: Sequence[object], out: object) -> Any:
        key = key_of(arguments)
        known = self.known.get(key) if self.stay is None else None
        if known is not None:
            made = self._quickly(site, known, arguments, out)
            if made is not None:
                return made[0] if len(made) == 1 else tuple(made)
        given = fitting(self.signature, arguments, site.device)
        extents = shapes(self.native.frame, [each.value for each in given])
        try:
            if any(extent < 0 for shape in extents for extent in shape):
                raise ValueError("negative dimensions are not allowed")
            targets = destinations(self.signature, out, extents, given, site.device, self.stay)
        except (MemoryError, ValueError) as error:
            raise too_large(self.signature, str(error)) from error
        if known is None and self.stay is None:
            self._remember(key, arguments, given, extents)
        try:
            made = self._done(site, given, extents, targets)
        except OutOfMemory:
            return evolve(self, stay=False).call(arguments, out)  # in pieces it may go, to host memory
        return returned(targets, made, out)

    def _remember(
        self, key: Key, arguments: Sequence[object], given: Sequence[Given], extents: Sequence[Shape]
    ) -> None:
        found = known_of(self.signature, arguments, given, extents)
        if found is not None:
            if len(self.known) >= REMEMBERED:
                self.known.clear()
            self.known[key] = found

    def _quickly(
        self, site: Site, known: Known, arguments: Sequence[Any], out: object
    ) -> Sequence[Any] | None:
        """The results of a call that is known, on the device; None where it must be looked at after all."""
        device = site.device
        values = values_of(self.signature.name, known, arguments, device)
        if values is None:
            return None
        stream = device.current_stream()
        with site.lane() as lane, device.on(stream):
            try:
                made = targets_of(known, out, arguments, device)
                if made:
                    self.graphs.run(self.native, lane, stream, values, made)
            except (OutOfMemory, MemoryError):
                return None  # whoever looks at it knows what to do
        return made or None

    def _done(
        self, site: Site, given: Sequence[Given], extents: Sequence[Shape], targets: Sequence[Destination]
    ) -> Sequence[Any]:
        """Runs the kernel, as a whole or by pieces; gives the arrays of its results."""
        pieces = cut(self.signature, given, extents, targets, site.device.free_bytes, self.limit)
        while True:
            try:
                if pieces is None:
                    return self._whole(site, given, extents, targets)
                return run_pieces(self.native, site, given, extents, targets, pieces)
            except OutOfMemory as error:
                if self.stay:
                    raise
                pieces = self._fewer_rows(site, given, extents, targets, pieces, str(error))

    def _fewer_rows(
        self,
        site: Site,
        given: Sequence[Given],
        extents: Sequence[Shape],
        targets: Sequence[Destination],
        pieces: Cut | None,
        why: str,
    ) -> Cut:
        """Smaller pieces, after a call found too little memory; raises FlowError (E0783) where there are
        none."""
        found = smaller(self.signature, given, pieces)
        if found is None:
            needs = needed(self.signature, given, extents, targets)
            raise memory_failure(self.native, site.device, needs, why)
        return found

    def _whole(
        self, site: Site, given: Sequence[Given], extents: Sequence[Shape], targets: Sequence[Destination]
    ) -> Sequence[Any]:
        device = site.device
        there = any(each.on_device for each in given) or any(each.on_device for each in targets)
        with site.lane() as lane:
            stream = device.current_stream() if there and self.stay is None else lane.own
            try:
                with device.on(stream):
                    values = [placed(device, each, stream) for each in given]
                    if stream is not lane.own and any(each.uploaded for each in given):
                        stream.wait()  # the caller may change memory that is pinned once this returns
                    made = [
                        target.array
                        if target.direct and target.array is not None
                        else device.empty(shape, dtype)
                        for target, shape, dtype in zip(targets, extents, self._dtypes(), strict=True)
                    ]
                    self._perform(lane, stream, given, targets, values, made)
                    found = delivered(device, stream, given, targets, values, made)
                    if self.stay is not None:
                        stream.wait()
                    return found
            except MemoryError as error:
                raise OutOfMemory(str(error)) from error

    def _perform(
        self,
        lane: Lane,
        stream: Stream,
        given: Sequence[Given],
        targets: Sequence[Destination],
        values: Sequence[Any],
        made: Sequence[Any],
    ) -> None:
        """Runs host code; where all arrays lie on the device, by a graph when such calls come again and
        again."""
        stays = all(each.on_device or not each.parameter.dims for each in given)
        if stays and all(target.direct for target in targets) and stream is not lane.own:
            self.graphs.run(self.native, lane, stream, values, made)
        else:
            perform(self.native, lane, stream, values, made)

    def _dtypes(self) -> list[Any]:
        return [numpy_dtype(result.dtype) for result in self.signature.results]
