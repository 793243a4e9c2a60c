"""Python imports: read, compared and never run."""

from pathlib import Path

import pytest

from tests.checker.programs import checked, codes

PROGRAM = 'from "{path}" import search\n\ntool search(query: str, limit: int = 3) -> list[str] reads web\n'


def written(folder: Path, python: str, name: str = "tools.py") -> Path:
    """The folder, with a Python file in it."""
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(python, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    "python",
    [
        "def search(query, limit=3): ...",
        "def search(query: str, limit: int) -> list[str]: ...",
        "async def search(query: 'str', limit: int = 3) -> 'list[str]': ...",
        "def search(query: str, limit: int = 3, *, fast: bool = True) -> Sequence[str]: ...",
        "def search(query: str | None, limit: float) -> typing.List[str]: ...",
        "def search(*arguments): ...",
        "search = make()",
        "from other import search",
        "@tool\ndef search(anything): ...",
        "def search(query: Query, limit: Limit) -> Found: ...",
    ],
)
def test_a_function_that_can_stand_behind_the_tool_is_accepted(tmp_path: Path, python: str) -> None:
    text = PROGRAM.format(path="tools.py")
    assert codes(text, written(tmp_path, python)) == []
    signature = checked(text, tmp_path).callables["search"]
    assert (signature.module, signature.function) == ("tools.py", "search")


@pytest.mark.parametrize(
    ("python", "code"),
    [
        ("def find(query, limit): ...", "E0604"),
        ("def search(query): ...", "E0605"),
        ("def search(limit, query): ...", "E0605"),
        ("def search(query, limit, more): ...", "E0605"),
        ("def search(query, limit, *, more): ...", "E0605"),
        ("def search(query: int, limit: int) -> list[str]: ...", "E0606"),
        ("def search(query: str, limit: int) -> str: ...", "E0606"),
        ("def search(query: str, limit: int) -> list[int]: ...", "E0606"),
        ("def search(query: str, limit: int) -> None: ...", "E0606"),
        ("def search(query: str,", "E0603"),
        ("\x00", "E0603"),
        ("#" * (2 * 2**20 + 1), "E0607"),
    ],
)
def test_a_function_that_cannot_is_refused(tmp_path: Path, python: str, code: str) -> None:
    assert codes(PROGRAM.format(path="tools.py"), written(tmp_path, python)) == [code]


def test_imported_python_is_never_run(tmp_path: Path) -> None:
    python = f"open({str(tmp_path / 'ran')!r}, 'w')\ndef search(query, limit): ...\n"
    assert codes(PROGRAM.format(path="tools.py"), written(tmp_path, python)) == []
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "path", ["../tools.py", "/etc/tools.py", "a/../../tools.py", "C:/tools.py", "..\\\\tools.py"]
)
def test_a_path_out_of_the_folder_is_refused(tmp_path: Path, path: str) -> None:
    folder = tmp_path / "program"
    folder.mkdir()
    written(tmp_path, "def search(query, limit): ...")
    assert codes(PROGRAM.format(path=path), folder) == ["E0602"]


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "program"
    folder.mkdir()
    written(tmp_path, "def search(query, limit): ...")
    (folder / "tools.py").symlink_to(tmp_path / "tools.py")
    assert codes(PROGRAM.format(path="tools.py"), folder) == ["E0602"]


def test_a_folder_inside_the_programs_folder_is_fine(tmp_path: Path) -> None:
    written(tmp_path, "def search(query, limit): ...", "lib/tools.py")
    assert codes(PROGRAM.format(path="lib/tools.py"), tmp_path) == []


def test_a_missing_file_and_a_directory_are_told(tmp_path: Path) -> None:
    (tmp_path / "folder.py").mkdir()
    assert codes(PROGRAM.format(path="tools.py"), tmp_path) == ["E0601"]
    assert codes(PROGRAM.format(path="folder.py"), tmp_path) == ["E0601"]
    assert codes(PROGRAM.format(path="tools"), tmp_path) == ["E0609"]


def test_deeply_nested_python_ends_in_a_diagnostic(tmp_path: Path) -> None:
    assert codes(PROGRAM.format(path="tools.py"), written(tmp_path, "x = " + "(" * 5000 + ")" * 5000)) == [
        "E0603"
    ]


def test_a_tool_without_python_is_fine() -> None:
    assert codes("tool search(query: str) -> list[str] reads web\n") == []
