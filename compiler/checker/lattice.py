"""Sets of labels as bits: joining is `|`, and "at most" is one mask.

A level of a chain is written in unary: the n-th label of a chain has the lowest n bits of the chain's set,
the least label none. So trusted public data is 0, whatever chains a program declares.
"""

from attrs import frozen

Chains = tuple[tuple[str, ...], ...]


@frozen
class Lattice:
    """The labels of a program. `masks` gives a label's bits, `whole` those of its chain."""

    chains: Chains
    masks: dict[str, int]
    whole: dict[str, int]


def lattice(chains: Chains) -> Lattice:
    """Numbers the labels of a program."""
    masks: dict[str, int] = {}
    whole: dict[str, int] = {}
    offset = 0
    for chain in chains:
        width = len(chain) - 1
        for level, name in enumerate(chain):
            masks[name] = ((1 << level) - 1) << offset
            whole[name] = ((1 << width) - 1) << offset
        offset += width
    return Lattice(chains, masks, whole)


def value_of(labels: Lattice, names: frozenset[str]) -> int:
    """The bits of a set of labels."""
    found = 0
    for name in names:
        found |= labels.masks.get(name, 0)
    return found


def chains_of(labels: Lattice, names: frozenset[str]) -> int:
    """All bits of the chains that the labels belong to."""
    found = 0
    for name in names:
        found |= labels.whole.get(name, 0)
    return found


def forbidden(labels: Lattice, bounds: frozenset[str]) -> int:
    """The bits that upper bounds forbid; chains without a bound forbid nothing."""
    return chains_of(labels, bounds) & ~value_of(labels, bounds)


def names_of(labels: Lattice, value: int) -> frozenset[str]:
    """The highest label of each chain that is not at its least."""
    found = set()
    for chain in labels.chains:
        present = [name for name in chain[1:] if labels.masks[name] & value == labels.masks[name]]
        if present:
            found.add(present[-1])
    return frozenset(found)


def integrity(labels: Lattice) -> tuple[str, ...]:
    """The chain that `endorse` lowers: the one with `trusted` or `untrusted` in it, else none."""
    return next((chain for chain in labels.chains if {"trusted", "untrusted"} & set(chain)), ())


def confidentiality(labels: Lattice) -> tuple[str, ...]:
    """The chain that `declassify` lowers: that of `public` or `secret`, else the first but integrity."""
    named = next((chain for chain in labels.chains if {"public", "secret"} & set(chain)), None)
    others = [chain for chain in labels.chains if chain != integrity(labels)]
    return named or (others[0] if others else ())
