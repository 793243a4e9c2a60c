"""The page about the IR says what the source says, and the page about plans names every instruction."""

import re
from pathlib import Path

from flowc.runtime.plan_check import REGIONS
from tests.docs.ir_reference import PAGE, reference

PLAN = Path(__file__).parents[2] / "docs" / "plan.md"


def test_the_ir_reference_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(), "run `python -m tests.docs.ir_reference`"


def test_every_operation_is_documented() -> None:
    undocumented = re.findall(r"^\| `([^`]*)` \|  \|", reference(), re.MULTILINE)
    assert not undocumented


def test_the_plan_page_names_every_instruction() -> None:
    text = PLAN.read_text(encoding="utf-8")
    missing = [name for name in REGIONS if f"| `{name}` |" not in text]
    assert not missing
