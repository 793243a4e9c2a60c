"""What passes decide by expected costs, as records: the choice, what else there was, what it should gain."""

from collections.abc import Iterable, Sequence

from attrs import field, frozen
from attrs.validators import min_len


@frozen
class Alternative:
    """One way to do it: the expected milliseconds of what it is about, and the dollars."""

    name: str
    ms: float
    dollars: float = 0.0


@frozen
class Decision:
    """A choice between alternatives that mean the same and cost differently.

    `what` names the question ("start early", "tiles"), `subject` what it is about, `line` where that stands
    in the program. The first of the `alternatives` is what happens where nothing is decided; `choice` is the
    name of one of them. `gain` is the milliseconds that the choice is expected to save against the first,
    what it costs in money taken off. `sure` says whether the figures rest on enough of what was measured;
    where they do not, they follow from structure. `basis` says what they rest on.
    """

    what: str
    line: int
    choice: str
    alternatives: tuple[Alternative, ...] = field(validator=min_len(1))
    gain: float = 0.0
    sure: bool = False
    subject: str = ""
    basis: str = ""

    @property
    def default(self) -> Alternative:
        """What happens where nothing is decided."""
        return self.alternatives[0]

    @property
    def chosen(self) -> Alternative:
        """The alternative of the choice."""
        return next(each for each in self.alternatives if each.name == self.choice)


def by_gain(decisions: Iterable[Decision]) -> Sequence[Decision]:
    """Each decision once, the greatest gain first; of equal gain in the order of lines."""
    return sorted(dict.fromkeys(decisions), key=lambda each: (-each.gain, each.line, each.what))


def decisions_text(decisions: Iterable[Decision], path: str) -> str:
    """Decisions for a person, a block each, the greatest gain first; empty where there are none."""
    return "".join(f"{path}:{each.line}: {_text(each)}" for each in by_gain(decisions))


def _text(decision: Decision) -> str:
    about = f" {decision.subject}" if decision.subject else ""
    gain = f"gains {duration(decision.gain)}" if decision.gain > 0 else "gains nothing"
    if decision.gain < 0:
        gain = f"loses {duration(-decision.gain)}"
    unsure = "" if decision.sure else ", not sure"
    basis = f" ({decision.basis}{unsure})" if decision.basis else unsure
    head = f"{decision.what}{about}: {decision.choice}, {gain}{basis}\n"
    return head + "".join(f"    {_alternative(each, decision.choice)}\n" for each in decision.alternatives)


def _alternative(each: Alternative, choice: str) -> str:
    money = f"  ${each.dollars:.6f}" if each.dollars else ""
    return f"{'*' if each.name == choice else ' '} {each.name:<32} {duration(each.ms):>10}{money}"


def duration(milliseconds: float) -> str:
    """Milliseconds in the unit that suits them: us, ms or s, three digits."""
    if milliseconds >= 1e3:
        return f"{milliseconds / 1e3:.3g} s"
    return f"{milliseconds:.3g} ms" if milliseconds >= 1 else f"{milliseconds * 1e3:.3g} us"
