"""Every diagnostic has a page, and every page tells the truth."""

import re
from pathlib import Path

import pytest

import flowc
import flowc.compiler.errors
from flowc.compiler.diagnostics import pages
from tests.errors.page import Section, console, recorded, run, sections

FOLDER = Path(flowc.compiler.errors.__file__).parent
PACKAGE = Path(flowc.__file__).parent
ROOMS = ("compiler", "dialects", "grammar", "passes", "runtime", "cli")

_RAISED = re.compile(r'"(E0\d{3})"')
_SHOWN = re.compile(r"^(?:error|warning|note)\[(E\d{4})\]", re.MULTILINE)


def _source_files() -> list[Path]:
    return [
        *PACKAGE.glob("*.py"),
        *(path for room in ROOMS for path in sorted((PACKAGE / room).rglob("*.py"))),
    ]


def _raised() -> dict[str, Path]:
    return {
        code: path for path in _source_files() for code in _RAISED.findall(path.read_text(encoding="utf-8"))
    }


def test_every_code_in_the_source_has_a_page() -> None:
    missing = {
        code: str(path.relative_to(PACKAGE)) for code, path in _raised().items() if code not in pages.codes()
    }
    assert missing == {}


def test_every_page_is_of_a_code_in_the_source() -> None:
    assert sorted(set(pages.codes()) - set(_raised())) == []


@pytest.mark.parametrize("code", pages.codes())
def test_a_page_begins_with_its_code_and_says_more_than_its_title(code: str) -> None:
    text = pages.page(code)
    assert text is not None
    assert re.match(rf"# {code}: \S", text)
    assert len(text[: text.index("\n## Wrong\n")].split("\n", 1)[1].split()) >= 10


@pytest.mark.parametrize("code", pages.codes())
def test_the_wrong_program_provokes_its_code_and_no_other(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, update: bool
) -> None:
    wrong, _ = sections(pages.page(code) or "")
    if wrong.host and not wrong.console:
        return
    monkeypatch.chdir(tmp_path)
    outcome = run(wrong, tmp_path)
    assert set(_SHOWN.findall(outcome.printed)) == {code}
    if update:
        _record(code, wrong, console(wrong, outcome))
    else:
        assert outcome == recorded(wrong)


@pytest.mark.parametrize("code", pages.codes())
def test_the_right_program_is_accepted(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, update: bool
) -> None:
    _, right = sections(pages.page(code) or "")
    if right.host and not right.console:
        return
    monkeypatch.chdir(tmp_path)
    outcome = run(right, tmp_path)
    if update and not _SHOWN.search(outcome.printed):
        _record(code, right, console(right, outcome))
    else:
        assert outcome == recorded(right)


def _record(code: str, section: Section, text: str) -> None:
    path = FOLDER / f"{code}.md"
    page = path.read_text(encoding="utf-8")
    path.write_text(page[: section.start] + text + page[section.end :], encoding="utf-8")
