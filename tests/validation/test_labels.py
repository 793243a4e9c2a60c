"""Labels as bits: joining, bounds and relabelling are those of the lattice that a program declares, for every
set of labels of every shape of it.
"""

from itertools import product

import pytest
import z3

from flowc.compiler.checker.lattice import Chains, Lattice, forbidden, lattice, names_of, value_of
from tests.validation.prover import prove

SHAPES: list[tuple[int, ...]] = [(2,), (2, 2), (3, 2), (2, 4), (3, 2, 3)]
"""How many labels the chains of a program have."""


def chains(shape: tuple[int, ...]) -> Chains:
    return tuple(tuple(f"c{number}l{level}" for level in range(size)) for number, size in enumerate(shape))


def levels(labels: Lattice, value: z3.BitVecRef) -> list[z3.ArithRef]:
    """How high a value stands in each chain: by the labels whose bits it has."""
    found = []
    for chain in labels.chains:
        level = z3.IntVal(0)
        for height, name in enumerate(chain):
            mask = labels.masks[name]
            level = z3.If(value & mask == mask, z3.IntVal(height), level)
        found.append(level)
    return found


def proper(labels: Lattice, value: z3.BitVecRef) -> z3.BoolRef:
    """That a value is that of labels: of each chain the lowest bits."""
    sets = [[labels.masks[name] for name in chain] for chain in labels.chains]
    within = [
        z3.Or(*(value & labels.whole[chain[0]] == mask for mask in own))
        for chain, own in zip(labels.chains, sets, strict=True)
    ]
    return z3.And(*within, value & ~sum(labels.whole[chain[0]] for chain in labels.chains) == 0)


def all_bounds(labels: Lattice) -> list[frozenset[str]]:
    """Every way to bound some chains by a label each."""
    choices = [(None, *chain) for chain in labels.chains]
    return [frozenset(name for name in names if name is not None) for names in product(*choices)]


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_made_of_two_values_stands_as_high_as_the_higher_in_each_chain(
    shape: tuple[int, ...],
) -> None:
    labels = lattice(chains(shape))
    x, y = z3.BitVecs("x y", 16)
    given = [proper(labels, x), proper(labels, y)]
    claims = [
        both == z3.If(one > other, one, other)
        for both, one, other in zip(levels(labels, x | y), levels(labels, x), levels(labels, y), strict=True)
    ]
    prove(z3.And(proper(labels, x | y), *claims), given, name="a join")


@pytest.mark.parametrize("shape", SHAPES)
def test_a_bound_forbids_what_stands_above_it_and_nothing_else(shape: tuple[int, ...]) -> None:
    labels = lattice(chains(shape))
    x = z3.BitVec("x", 16)
    heights = levels(labels, x)
    for bounds in all_bounds(labels):
        below = [
            height <= chain.index(name)
            for chain, height in zip(labels.chains, heights, strict=True)
            for name in chain
            if name in bounds
        ]
        fits = x & forbidden(labels, bounds) == 0
        prove(fits == z3.And(*below), [proper(labels, x)], {"x": x}, f"the bounds {sorted(bounds)}")


@pytest.mark.parametrize("shape", SHAPES)
def test_relabelling_lowers_one_chain_to_a_level_and_leaves_the_others(shape: tuple[int, ...]) -> None:
    labels = lattice(chains(shape))
    x = z3.BitVec("x", 16)
    for number, chain in enumerate(labels.chains):
        for height, name in enumerate(chain):
            after = x & ~forbidden(labels, frozenset({name}))
            before = levels(labels, x)
            wanted = [
                z3.If(one > height, height, one) if place == number else one
                for place, one in enumerate(before)
            ]
            claims = [a == b for a, b in zip(levels(labels, after), wanted, strict=True)]
            prove(z3.And(proper(labels, after), *claims), [proper(labels, x)], {"x": x}, f"down to {name}")


@pytest.mark.parametrize("shape", SHAPES)
def test_names_and_bits_say_the_same(shape: tuple[int, ...]) -> None:
    labels = lattice(chains(shape))
    for names in all_bounds(labels):
        lifted = frozenset(name for name in names if labels.masks[name])
        assert names_of(labels, value_of(labels, names)) == lifted
