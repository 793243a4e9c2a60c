"""Regular expressions keep to what every Python that flowc promises matches alike."""

import re
from pathlib import Path

import flowc

PACKAGE = Path(flowc.__file__).parent
POSSESSIVE_GROUP = re.compile(r"\)(?:[*+?]|\{[\d,]+\})\+|\(\?>")


def test_no_group_is_possessive() -> None:
    """Before Python 3.11.5 such a group ends too early: https://github.com/python/cpython/issues/106052."""
    sources = [
        path for room in sorted(PACKAGE.iterdir()) if room.is_dir() for path in room.resolve().rglob("*.py")
    ]
    assert len(sources) > 100
    lines = [
        f"{path}:{number}"
        for path in [*sources, PACKAGE / "grammar" / "flow.lark"]
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if POSSESSIVE_GROUP.search(line)
    ]
    assert not lines
