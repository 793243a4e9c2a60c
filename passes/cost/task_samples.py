"""What was seen of tasks of recorded runs: traits that are known before a task runs, and how long it took."""

import re
from collections.abc import Iterable

from attrs import frozen

_PROGRAM = re.compile(r"[\w.+-]{1,64}", re.ASCII)
_NUMBER = re.compile(r"[_-]?(ID)?[_-]?(?<!\d)\d+$")  # the look behind tries each run of digits once
_REPEAT = re.compile(r"-\d{3}$")


@frozen
class Traits:
    """What is known of a task before it runs. Sizes are those that the workflow declares.

    `category` is what it does, `input_bytes` and `largest_input` are the sizes of what it reads, all together
    and the largest file. `inputs` is a digest of the names and sizes, empty where it reads no file. `beside`
    is how many tasks of its category the workflow has.
    """

    category: str = ""
    input_bytes: int = 0
    largest_input: int = 0
    inputs: str = ""
    beside: int = 1


@frozen
class Origin:
    """The run that a task is of: its name, its configuration, and a digest of its tasks and their inputs.

    Repeats of a run have one configuration: they differ in the number at the end of the name alone.
    """

    instance: str
    content: str = ""

    @property
    def configuration(self) -> str:
        """The name without the number of the repeat, `-001`."""
        return _REPEAT.sub("", self.instance)

    def related(self, other: "Origin") -> bool:
        """Whether both are runs of one configuration, so that one must not teach about the other."""
        same = bool(self.content) and self.content == other.content
        return same or self.configuration == other.configuration


def groups(origins: Iterable[Origin]) -> list[int]:
    """A number for each run; those of one configuration, and copies, have the same.

    >>> groups([Origin("small-001"), Origin("large-001"), Origin("small-002")])
    [0, 1, 0]
    """
    first: dict[tuple[str, str], int] = {}
    found = []
    for place, each in enumerate(origins):
        keys = [("configuration", each.configuration)] + [("content", each.content)] * bool(each.content)
        found.append(min(first.get(key, place) for key in keys))
        for key in keys:
            first.setdefault(key, found[-1])
    return found


@frozen
class Sample:
    """How long a task took, in seconds, above zero."""

    traits: Traits
    seconds: float
    origin: Origin


def category(name: str, program: str = "") -> str:
    """What a task does: its program, else its name without the number that makes it unique.

    >>> category("blastall_ID000004"), category("NFCORE.ATACSEQ.FASTQC", "fastqc --quiet a.gz")
    ('blastall', 'FASTQC')
    """
    if _PROGRAM.fullmatch(program):
        return program
    last = name.rpartition(".")[2] if name.count(".") > 1 else name
    return _NUMBER.sub("", last) or last


def usable(samples: Iterable[Sample]) -> list[Sample]:
    """Those whose time can be learned from: finite and above zero."""
    return [sample for sample in samples if 0 < sample.seconds < float("inf")]
