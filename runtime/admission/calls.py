"""What waits before a model: a call of a program, and the policy by which calls are ordered."""

from attrs import frozen

LONGEST = 600.0
"""Seconds of remaining path, and of age, beyond which a call gets no further ahead."""


@frozen
class Program:
    """One run as the gates see it: when it began on the loop's clock, and who submitted it with what share.

    Submitters share a model in proportion to their weights.
    """

    name: str = ""
    begun: float = 0.0
    submitter: str = ""
    weight: float = 1.0


@frozen
class Call:
    """One call that asks for a place. `priority` is the negative upward rank in milliseconds; `tokens` is
    what it reserves of the tokens a minute, `expected` how many it will probably use, 0 where that is not
    known; `context` estimates what it leaves in the cache beyond what all programs share.
    """

    program: Program
    priority: float = 0.0
    tokens: int = 0
    context: int = 0
    expected: float = 0.0


@frozen
class Policy:
    """The rules for waiting calls; each can be left out, to measure what it is worth.

    `rank`: a longer remaining path goes ahead. `age`: so does an older program. `fair`: submitters share by
    weight. `residency`: programs start only while the contexts of those that run fit the model's cache.
    """

    rank: bool = True
    age: bool = True
    fair: bool = True
    residency: bool = True


FULL = Policy()
"""All rules."""


def order_of(call: Call, now: float, policy: Policy = FULL) -> float:
    """When a call counts as having come, in seconds: earlier by its remaining path and by its program's age.

    Both are bounded, so what comes more than their sum later never overtakes, and no call starves. Below the
    bounds this is `begun - rank`: as if all programs were due equally long after they began, the call with
    the least slack.
    """
    ahead = max(call.priority / 1e3, -LONGEST) if policy.rank else 0.0
    age = min(now - call.program.begun, LONGEST) if policy.age else 0.0
    return now + ahead - age
