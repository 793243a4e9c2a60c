"""Programs with a choice in them, and how they are searched."""

from flowc.compiler.driver import Compiled, Options, compile_text
from flowc.passes.search.goal import Goal
from flowc.passes.search.search import SearchRequest
from flowc.passes.search.stand_ins import World
from flowc.runtime.config import Config
from flowc.runtime.limits import Price
from flowc.runtime.providers.base import ModelSettings

GUARDED = '''\
enum Verdict: yes, no

llm check(question: str) -> Verdict:
    """May this be answered? {question}"""

llm answer(question: str) -> str:
    """Answer {question}"""

flow main(question: str) -> str:
    if check(question) == Verdict.no:
        return "refused"
    return answer(question)
'''
"""A branch that could start before its condition is known."""

SORTED = '''\
@model("batched")
llm kind(mail: str) -> bool:
    """Is this spam? {mail}"""

flow main(mails: list[str]) -> list[bool]:
    return [kind(mail) for mail in mails]
'''
"""Calls that go to an endpoint for batches at half the price, which takes ten minutes."""

HASTY = '''\
llm reply(mail: str) -> str:
    """Write a reply to this mail: {mail}"""

llm shorten(mail: str) -> str:
    """Say it in fewer words: {mail}"""

@timeout(2s)
flow main(mails: list[str]) -> list[str]:
    return [shorten(reply(mail)) for mail in mails]
'''
"""A flow that a limit ends before it is done: whatever does less until then costs less."""

BATCHED = ModelSettings(
    "batched",
    "simulated",
    "batched",
    price=Price(1e-6, 2e-6, None, 0.5),
    batch=True,
    batch_latency=600.0,
)

CONFIG = Config(models={"batched": BATCHED})


def searched(text: str, goal: Goal | None = None, *, seconds: float = 60.0, steps: int = 12) -> Compiled:
    """A program compiled at -O3 with a search that a number of plans ends, not the time."""
    request = SearchRequest(World(CONFIG), goal or Goal(), seconds, steps)
    return compile_text(text, "searched.flow", options=Options(level=3, search=request))
