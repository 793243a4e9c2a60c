"""Level 3 from Python: branches start early, chains of calls are fused where they may be."""

import flowc


@flowc.llm(fusable=True)
def outline(topic: str) -> list[str]:
    """Outline an essay about {topic}."""


@flowc.llm(fusable=True)
def draft(plan: list[str]) -> str:
    """Write the essay that {plan} outlines."""


@flowc.llm
def fits(topic: str) -> bool:
    """Is {topic} worth an essay?"""


@flowc.flow
def essay(topic: str) -> str:
    if not fits(topic):
        return "none"
    return draft(outline(topic))


def test_what_is_fused_and_started_early_gives_what_the_plain_levels_give() -> None:
    at_three = essay.using(provider="simulated", seed=1, optimisation=3)
    report = at_three.report("compilers")
    assert report.status == "ok"
    plan = at_three.emit("plan")
    assert '"speculate"' in plan
    assert "outline_then_draft" in plan
    before = essay.using(provider="simulated", seed=1).report("compilers")
    assert report.wall_ms < before.wall_ms or before.result == "none"
