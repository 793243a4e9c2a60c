"""The inventory of rewrites is complete, and what it names exists: a new one has to say how it is proved."""

import ast
from collections.abc import Iterator
from pathlib import Path

import z3

import flowc.passes
from flowc.passes import canonicalise, constant_fold, cse, extent_algebra
from flowc.passes.kernel_passes import KERNEL_PASSES
from flowc.passes.pipelines import PASSES
from tests.validation.extents import applied, term
from tests.validation.flow_meaning import FUNCTIONS
from tests.validation.inventory import INVENTORY, SCANNED

PASSES_FOLDER = Path(flowc.passes.__file__).parent
TESTS = Path(__file__).parents[1]
PLACES = {rule.place for rule in INVENTORY}
NO_REWRITES = {"share-prefix", "schedule", "infer-effects", "hedge", "speculate", "stream", "decide-kernels",
               "choose-kernels", "fuse-array"}  # fmt: skip
"""Passes that annotate, mark, or move without putting one value in the place of another."""


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    """The functions of a file and the methods of its classes."""
    for node in ast.parse(path.read_text()).body:
        yield from (
            (each for each in (node, *getattr(node, "body", ())) if isinstance(each, ast.FunctionDef))
            if isinstance(node, ast.ClassDef)
            else [node]
            if isinstance(node, ast.FunctionDef)
            else []
        )


def calls(function: ast.FunctionDef) -> set[str]:
    """The names of what a function calls."""
    called = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
    return {getattr(each, "attr", getattr(each, "id", "")) for each in called}


def found() -> set[str]:
    """Every function of the passes that replaces something."""
    return {
        f"{path.relative_to(PASSES_FOLDER)}:{function.name}"
        for path in PASSES_FOLDER.rglob("*.py")
        if any(name in path.read_text() for name in SCANNED)
        for function in functions(path)
        if calls(function) & set(SCANNED)
    }


def test_every_function_that_replaces_something_stands_in_the_inventory() -> None:
    missing = sorted(found() - PLACES)
    assert not missing, f"say in tests/validation/inventory.py how these are proved: {missing}"


def test_every_registered_rule_stands_in_the_inventory() -> None:
    for module in (canonicalise, constant_fold):
        file = Path(module.__file__).name
        for rules in module.RULES.values():
            for rule in rules:
                assert f"{file}:{rule.__name__}" in PLACES
    branch = {name for name in dir(canonicalise) if name.startswith("_if_")}
    assert {f"canonicalise.py:{name}" for name in branch} <= PLACES


def test_what_the_inventory_names_exists() -> None:
    for rule in INVENTORY:
        file, name = rule.place.split(":")
        assert name in {each.name for each in functions(PASSES_FOLDER / file)}, rule
        assert (TESTS / rule.proof).exists(), rule
        assert bool(rule.domain) == rule.proof.startswith("validation/"), rule


def test_every_pass_has_a_rule_or_rewrites_nothing() -> None:
    files = {rule.place.split(":")[0] for rule in INVENTORY}
    for name, each in {**PASSES, **KERNEL_PASSES}.items():
        file = Path(*each.__module__.split(".")[2:])
        own = {f"{file}.py", f"{file}/__init__.py"}
        assert (own & files) or name in NO_REWRITES, name


def test_every_function_whose_operands_change_places_has_a_meaning_here() -> None:
    assert set(FUNCTIONS) >= cse.COMMUTATIVE


def test_every_operator_of_extents_has_a_meaning_here() -> None:
    for name, fold in extent_algebra.FOLDS.items():
        for left, right in ((7, 3), (-7, 3), (2, 5)):
            assert applied(name, term(left), term(right)).sort() == term(fold(left, right)).sort()
            assert str(z3.simplify(applied(name, term(left), term(right)))) == str(fold(left, right))
