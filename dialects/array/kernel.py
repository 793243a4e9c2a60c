"""Kernels: named functions over arrays, what ends them, and the op that calls one."""

from collections.abc import Sequence

from xdsl.dialects.builtin import (
    ArrayAttr,
    DictionaryAttr,
    FunctionType,
    StringAttr,
    SymbolNameConstraint,
    SymbolRefAttr,
)
from xdsl.dialects.utils import AbstractYieldOperation, parse_func_op_like, print_func_op_like
from xdsl.ir import Attribute, Block, Region, SSAValue
from xdsl.irdl import (
    IRDLOperation,
    irdl_op_definition,
    opt_prop_def,
    prop_def,
    region_def,
    traits_def,
    var_operand_def,
    var_result_def,
)
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.traits import (
    HasParent,
    IsolatedFromAbove,
    IsTerminator,
    Pure,
    ReturnLike,
    SymbolOpInterface,
    SymbolTable,
)
from xdsl.utils.exceptions import VerifyException

from flowc.dialects.array.ops import agree
from flowc.dialects.array.types import RefType, is_array_type

ARGUMENT_NAME = "array.name"
PRECISE = "array.precise"
"""Of a kernel whose operations are those that are written, each rounded on its own."""
REPRODUCIBLE = "array.reproducible"
"""Of a kernel, or an operation made from it, whose bits are the same on every machine."""


@irdl_op_definition
class KernelOp(IRDLOperation):
    """A function over arrays and numbers that becomes native code.

    It is pure but for the arguments of type `!array.ref`, which it changes in place. Arguments carry their
    names in `{array.name = "q"}`. A dimension's name stands for one extent in the whole
    kernel. The attributes `array.precise` and `array.reproducible` bind the order of its arithmetic.
    """

    name = "array.kernel"
    sym_name = prop_def(SymbolNameConstraint())
    function_type = prop_def(FunctionType)
    arg_attrs = opt_prop_def(ArrayAttr[DictionaryAttr])
    body = region_def("single_block")
    traits = traits_def(IsolatedFromAbove(), SymbolOpInterface())

    def __init__(
        self,
        name: str,
        function_type: tuple[Sequence[Attribute], Sequence[Attribute]],
        region: Region | None = None,
        arg_names: Sequence[str] = (),
    ) -> None:
        signature = FunctionType.from_lists(*function_type)
        names = [*arg_names, *(f"a{i}" for i in range(len(arg_names), len(signature.inputs)))]
        named = ArrayAttr([DictionaryAttr({ARGUMENT_NAME: StringAttr(arg)}) for arg in names])
        super().__init__(
            properties={
                "sym_name": StringAttr(name),
                "function_type": signature,
                "arg_attrs": named if names else None,  # as it is read from text
            },
            regions=[region or Region(Block(arg_types=signature.inputs))],
        )
        for argument, arg_name in zip(self.body.block.args, names, strict=True):
            argument.name_hint = argument.name_hint or arg_name

    @property
    def arg_names(self) -> tuple[str, ...]:
        """The names of the arguments, in order."""
        given = [attrs.data.get(ARGUMENT_NAME) for attrs in self.arg_attrs.data] if self.arg_attrs else []
        given += [None] * (len(self.body.block.args) - len(given))
        return tuple(n.data if isinstance(n, StringAttr) else f"a{i}" for i, n in enumerate(given))

    @property
    def returned(self) -> Sequence[SSAValue]:
        """The values that the kernel returns."""
        last = self.body.block.last_op
        return last.operands if isinstance(last, ReturnOp) else ()

    def verify_(self) -> None:
        """The block takes what the signature says and ends in a fitting array.return."""
        block = self.body.block
        if tuple(block.arg_types) != self.function_type.inputs.data:
            raise VerifyException(f"array.kernel @{self.sym_name.data}: arguments differ from the signature")
        if not isinstance(block.last_op, ReturnOp):
            raise VerifyException(f"array.kernel @{self.sym_name.data} must end in array.return")
        inputs = [type_ for type_ in self.function_type.inputs if not isinstance(type_, RefType)]
        for type_ in (*inputs, *self.function_type.outputs):
            if not is_array_type(type_):
                raise VerifyException(
                    f"array.kernel @{self.sym_name.data}: {type_} is neither an array nor a number"
                )

    @classmethod
    def parse(cls, parser: Parser) -> "KernelOp":
        """Reads `@name(%q: type {array.name = "q"}) -> (types) { ... }`."""
        name, inputs, outputs, region, extra, arg_attrs, _ = parse_func_op_like(
            parser, reserved_attr_names=("sym_name", "function_type")
        )
        properties: dict[str, Attribute] = {
            "sym_name": StringAttr(name),
            "function_type": FunctionType.from_lists(inputs, outputs),
        }
        if arg_attrs is not None:
            properties["arg_attrs"] = arg_attrs
        attributes = {} if extra is None else extra.data
        return cls.create(properties=properties, attributes=attributes, regions=[region])

    def print(self, printer: Printer) -> None:
        """Writes what `parse` reads."""
        print_func_op_like(
            printer,
            self.sym_name,
            self.function_type,
            self.body,
            self.attributes,
            arg_attrs=self.arg_attrs,
            reserved_attr_names=("sym_name", "function_type", "arg_attrs"),
        )


@irdl_op_definition
class ReturnOp(AbstractYieldOperation[Attribute]):
    """Ends a kernel with its results."""

    name = "array.return"
    traits = traits_def(IsTerminator(), ReturnLike(), Pure(), HasParent(KernelOp))

    def verify_(self) -> None:
        """As many results as the signature has, of its dtypes and ranks; the run compares unknown extents."""
        kernel = self.parent_op()
        signature = kernel.properties.get("function_type") if isinstance(kernel, KernelOp) else None
        if isinstance(signature, FunctionType):  # a kernel is verified after what stands in it
            wanted = signature.outputs.data
            if len(wanted) != len(self.operands) or not all(map(agree, self.operand_types, wanted)):
                raise VerifyException(f"array.return must return {', '.join(map(str, wanted))}")


@irdl_op_definition
class LaunchOp(IRDLOperation):
    """Calls a kernel of the module."""

    name = "array.launch"
    kernel = prop_def(SymbolRefAttr)
    arguments = var_operand_def()
    res = var_result_def()
    traits = traits_def(Pure())
    assembly_format = "$kernel `(` $arguments `)` `:` functional-type($arguments, $res) attr-dict"

    def __init__(self, kernel: str, arguments: Sequence[SSAValue], results: Sequence[Attribute]) -> None:
        super().__init__(
            operands=[arguments], result_types=[results], properties={"kernel": SymbolRefAttr(kernel)}
        )

    def verify_(self) -> None:
        """The callee, where the op stands in a module that has it, takes these arguments."""
        if self.parent_op() is None:
            return
        found = SymbolTable.lookup_symbol(self, self.kernel)
        if isinstance(found, KernelOp) and len(found.function_type.inputs) != len(self.arguments):
            raise VerifyException(
                f"array.launch {self.kernel} needs {len(found.function_type.inputs)} arguments, "
                f"has {len(self.arguments)}"
            )
