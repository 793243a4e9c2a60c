"""A device with what calls on it share: lanes, one for each call under way, and code that it has loaded."""

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from attrs import define, field, frozen

from flowc.runtime.device.code import DeviceCode
from flowc.runtime.device.images import Recompile, image_for
from flowc.runtime.device.protocol import Device, Module
from flowc.runtime.device.table import Lane


@define(eq=False)
class Site:
    """A device in use. `idle` lanes wait for the next call; there are as many as calls were under way at
    once, each with a stream of its own, so that independent kernels of a plan overlap."""

    device: Device
    idle: list[Lane] = field(factory=list)
    lock: threading.Lock = field(factory=threading.Lock)

    @contextmanager
    def lane(self) -> Iterator[Lane]:
        """A lane for one call, with nothing in its arena at the end."""
        with self.lock:
            lane = self.idle.pop() if self.idle else None
        if lane is None:
            own = self.device.new_stream()
            lane = Lane(self.device, own, own)
        try:
            yield lane
        finally:
            lane.arena.empty()
            lane.stages.clear()
            lane.recording, lane.problem = False, None
            with self.lock:
                self.idle.append(lane)


@frozen(eq=False)
class Functions:
    """Functions that a device has loaded; `address` is that of the array of their handles."""

    module: Module
    array: object
    address: int


@define(eq=False)
class Library:
    """Compiled kernels with what each device has loaded of them, once a device."""

    code: DeviceCode
    recompile: Recompile | None = None
    loaded: dict[int, Functions] = field(factory=dict)
    lock: threading.Lock = field(factory=threading.Lock)

    def on(self, device: Device) -> Functions:
        """The functions on a device; raises FlowError (E0786, E0695) where it can have none."""
        found = self.loaded.get(device.number)
        if found is not None:
            return found
        with self.lock:
            if device.number not in self.loaded:
                self.loaded[device.number] = self._load(device)
            return self.loaded[device.number]

    def _load(self, device: Device) -> Functions:
        image = image_for(self.code, device.name, device.architecture, self.recompile)
        module = device.load(image, self.code.functions)
        handles = tuple(module.handles)
        array = (ctypes.c_void_p * max(len(handles), 1))(*handles)
        return Functions(module, array, ctypes.addressof(array))
