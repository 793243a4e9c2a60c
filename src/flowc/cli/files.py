"""Reading programs and writing results: what can be wrong with a path is said with the path."""

import sys
from pathlib import Path

from flowc.cli.failure import UsageProblem
from flowc.runtime.bounded import read_up_to

ARTIFACT = ".flowc"
STDIN = "-"


def read_bytes(path: str, most: int | None = None) -> bytes:
    """The bytes of a file, or of stdin for `-`; of more than `most` one more, by which that is told."""
    try:
        if path == STDIN:
            return sys.stdin.buffer.read(-1 if most is None else most + 1)
        content = Path(path).read_bytes() if most is None else read_up_to(Path(path), most)
    except FileNotFoundError:
        raise UsageProblem("E0671", f"there is no file {path}", help=_nearby(Path(path))) from None
    except IsADirectoryError:
        raise UsageProblem("E0672", f"{path} is a folder", help=_programs_in(Path(path))) from None
    except (OSError, ValueError) as error:
        raise UsageProblem("E0671", f"{path!r} cannot be read", why=_reason(error)) from None
    if path.endswith(".py"):
        help = f"say `python {path}`; of a flow `f`, `f.check()` says what is wrong, `f.emit(...)` a stage"
        raise UsageProblem("E0673", f"{path} is a Python program, which Python runs", help=help)
    return content


def check_exists(path: str) -> None:
    """Refuses a path that is no file, in the words of `read_bytes`, without reading it."""
    if not Path(path).is_file():
        read_bytes(path)


def write_file(path: str, data: bytes | str) -> None:
    """Writes a file whole, or says why not."""
    try:
        if isinstance(data, bytes):
            Path(path).write_bytes(data)
        else:
            Path(path).write_text(data, encoding="utf-8", newline="\n")
    except OSError as error:
        raise UsageProblem(
            "E0682",
            f"{path} cannot be written",
            why=_reason(error),
            help="choose a folder that exists and is yours",
        ) from None


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


def _nearby(path: Path) -> str:
    import difflib

    try:
        names = [item.name for item in path.parent.iterdir()]
    except OSError:
        return f"the folder {path.parent} does not exist"
    close = difflib.get_close_matches(path.name, names, n=1)
    return f"did you mean {path.parent / close[0]}?" if close else ""


def _programs_in(folder: Path) -> str:
    found = sorted(folder.glob("*.flow"))[:3]
    return f"name a file, such as {found[0]}" if found else "name a .flow file"
