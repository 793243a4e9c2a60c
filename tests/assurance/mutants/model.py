"""Faults that are sown on purpose: what the suite does not find of them, it would not find of real ones."""

from attrs import frozen


@frozen
class Mutant:
    """One subtle fault: in this file `old`, which is there once, becomes `new`. `breaks` says what is wrong
    then.
    """

    id: str
    file: str
    old: str
    new: str
    breaks: str


@frozen
class Area:
    """Faults of one sort, and what is to find them: folders and files of quick tests in this order, then
    campaigns.
    """

    name: str
    campaigns: tuple[str, ...]
    tests: tuple[str, ...]
    mutants: tuple[Mutant, ...]
