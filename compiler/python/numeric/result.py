"""What a function returns, taken apart into the results of a kernel."""

from attrs import define, field
from xdsl.ir import SSAValue

from flowc.compiler.python.functions import TopK
from flowc.compiler.python.numeric.arithmetic import settled, value_of
from flowc.compiler.python.numeric.basic import Range
from flowc.compiler.python.numeric.context import Context
from flowc.compiler.python.numeric.errors import Refused
from flowc.compiler.python.numeric.lengths import is_picked, most
from flowc.compiler.python.numeric.nested import Closure
from flowc.compiler.python.numeric.orders import Order, orders_of
from flowc.compiler.python.numeric.subscripts import store
from flowc.compiler.python.numeric.values import Array, Listed, Masked, Number
from flowc.compiler.python.structure import Argument, Cut, Known, Result, Several, Structure
from flowc.dialects.array import build
from flowc.dialects.array.types import array_type, dtype_of

MAKERS: dict[type, str] = {tuple: "tuple", list: "list", TopK: "TopK"}


@define
class _Collector:
    c: Context
    in_rows: bool
    values: list[SSAValue] = field(factory=list)

    def structure(self, value: object) -> Structure:
        """How to put a value together."""
        match value:
            case Array(storage=storage) if self._is_argument(value):
                return Argument(storage.parameter)
            case Masked():
                return self.structure(settled(self.c, value))
            case Array() if self._is_cut(value):
                return self._cut(value)
            case Array() | Number():
                return self._result(value)
            case tuple() | list():
                if type(value) not in MAKERS:
                    raise Refused(f"a {type(value).__name__} cannot be returned", help="return a tuple")
                return Several(tuple(map(self.structure, value)), MAKERS[type(value)])
            case Listed():
                raise Refused(
                    "a list that is as long as only the run knows cannot be returned",
                    help="return an array: `np.array([... for ...])`",
                )
            case Closure():
                raise Refused("a function cannot be returned", help="return what it gives")
        return Known(value)

    def _is_argument(self, array: Array) -> bool:
        """Whether it is an argument of the function itself, which was changed in place."""
        storage = array.storage
        return bool(storage.parameter) and storage.ref is not None and array.views == storage.shown

    def _result(self, value: Array | Number) -> Result:
        taken = value_of(self.c, value)
        weak = dtype_of(taken.type) if isinstance(value, Number) and value.weak else ""
        order = None if self.in_rows else orders_of(self.c.block, self.c.rows).get(taken)
        axes: Order = ()
        if order is not None:
            taken, axes = (
                self.c.emit(build.transpose(taken, order)),
                tuple(map(order.index, range(len(order)))),
            )
        self.values.append(taken)
        return Result(len(self.values) - 1, weak, axes)

    def _is_cut(self, array: Array) -> bool:
        """Whether an extent depends on what a mask picks."""
        c = self.c
        if any(extent in c.picked for extent in array.shape):
            return True
        return "" in array.shape and bool(c.picked) and is_picked(c, c.value(array))

    def _cut(self, array: Array) -> Structure:
        """An array with as much along an axis as a mask picks: the caller allocates the most that can be, and
        cuts."""
        c, value = self.c, self.c.value(array)
        position = len(self.values)
        if value in c.wholes and not is_picked(c, c.wholes[value][0]):
            self.values += c.wholes[value]
            return Cut(position, ((0, position + 1),))
        items: list[object] = [Range()] * len(array.shape)
        sizes, shape = list(c.extents_of(array)), list(array.shape)
        counts: dict[int, SSAValue] = {}
        for axis, extent in enumerate(array.shape):
            if extent == "" or extent in c.picked:
                longest = Number(most(c, value, axis), weak=True)
                counts[axis] = c.emit(build.dim(value, axis))
                items[axis] = Range(stop=Number(counts[axis]))
                sizes[axis], shape[axis] = longest, c.extent_name(longest)
        type_ = array_type(array.dtype, tuple(shape))
        whole = c.fresh(type_, [c.extent_value(size) for size in sizes])
        store(c, whole, items, array)
        self.values += [c.value(whole), *counts.values()]
        return Cut(position, tuple((axis, position + 1 + n) for n, axis in enumerate(counts)))


def collect(c: Context, value: object, in_rows: bool) -> tuple[Structure, list[SSAValue]]:
    """The structure of what is returned, and the values that the kernel gives; `in_rows` as they are, else as
    NumPy lays them out."""
    collector = _Collector(c, in_rows)
    return collector.structure(value), collector.values
