"""Modules are drawn over all of every dialect, hold, and what is wrong with one is found."""

from random import Random

import pytest
from xdsl.dialects.builtin import ArrayAttr, IntegerAttr, ModuleOp, StringAttr, i64
from xdsl.ir import Operation
from xdsl.utils.exceptions import VerifyException

from flowc.dialects.array import build, inference
from flowc.dialects.array.products import AttentionOp
from flowc.dialects.flow.signature import parameter
from flowc.dialects.text import print_module
from flowc.testing.oracles.reached import ALL_OPERATIONS, DEFINITIONS, operations
from flowc.testing.strategies.choices import from_random
from flowc.testing.strategies.kernels import as_module, make_kernel
from flowc.testing.strategies.operations import drawn_module
from tests.assurance.campaign import Tally, Wrong
from tests.assurance.campaigns import modules


def module_with(name: str, seed: int = 0) -> ModuleOp:
    """A module with an operation of a name."""
    return drawn_module(from_random(Random(seed)), name)


def one_of(module: ModuleOp, name: str) -> Operation:
    """An operation of a name in a module."""
    return next(op for op in module.walk() if op.name == name)


def test_every_operation_of_every_dialect_is_drawn_and_verifies() -> None:
    for name in ALL_OPERATIONS:
        module = module_with(name)
        assert operations(module)[name]
        module.verify()


def test_each_optional_property_is_drawn_and_left_out() -> None:
    optional = {
        (name, each)
        for name, definition in DEFINITIONS.items()
        for each, property_ in definition.get_irdl_definition().properties.items()
        if type(property_).__name__ == "OptPropertyDef"
    }
    assert len(optional) > 20
    wanted = {(*each, there) for each in optional for there in (True, False)}
    for seed in range(40):
        if not wanted:
            break
        for name in {name for name, _, _ in wanted}:
            for op in module_with(name, seed).walk():
                wanted -= {
                    each for each in wanted if each[0] == op.name and each[2] == (each[1] in op.properties)
                }
    assert not wanted


def test_modules_hold_and_their_mutants_are_refused_or_hold() -> None:
    tally = Tally()
    modules.drawn(Random(1), tally, 4)
    modules.kernels(Random(1), tally, 1)
    modules.programs(Random(1), tally, 1)
    assert tally.tried["modules"] >= 6
    assert tally.tried["inputs"] >= 32


def test_a_printer_that_loses_something_is_found() -> None:
    module = module_with("flow.map")

    def lossy(module: ModuleOp) -> str:
        copy = module.clone()
        one_of(copy, "flow.map").properties["width"] = IntegerAttr(65, i64)
        return print_module(copy)

    with pytest.raises(Wrong, match="text is another module"):
        modules.holds(module, write=lossy)


def test_a_verifier_that_breaks_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    module = module_with("array.softmax")
    monkeypatch.setattr(inference, "softmax_type", lambda *_: {}["nothing"])
    with pytest.raises(Wrong, match="KeyError"), modules.refused("a module"):
        module.verify()


def test_steps_of_attention_that_do_not_fit_are_refused() -> None:
    module = module_with("array.attention")
    op = one_of(module, "array.attention")
    assert isinstance(op, AttentionOp)
    for steps, message in ((["nothing"], "cannot be changed by `nothing`"), (["add"] * 9, "take 9 operands")):
        op.properties["steps"] = ArrayAttr([StringAttr(step) for step in steps])
        with pytest.raises(VerifyException, match=message):
            op.verify()


def test_a_return_of_a_kernel_without_a_signature_is_refused() -> None:
    module = module_with("array.return")
    del module_kernel(module).properties["function_type"]
    with pytest.raises(VerifyException, match="function_type"):
        module.verify()


def module_kernel(module: ModuleOp) -> Operation:
    """The kernel that is returned from in a module."""
    kernel = one_of(module, "array.return").parent_op()
    assert kernel is not None
    return kernel


def test_a_kernel_without_parameters_reads_back() -> None:
    modules.holds(as_module(make_kernel({}, lambda add: add(build.constant(1.0, "f32")))))


def test_a_parameter_without_a_default_reads_back() -> None:
    text = "flow.func @main(a %a: !flow.int) -> !flow.int effects<> { flow.return %a : !flow.int }"
    module = modules.read_back(text)
    (named,) = one_of(module, "flow.func").properties["parameters"].data
    assert named == parameter("a")
