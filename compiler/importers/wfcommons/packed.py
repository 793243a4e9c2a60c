"""The text of a file that may be compressed; what unpacks to more than a limit is refused on the way."""

import re
import zlib

from flowc.compiler.diagnostics.model import CompileError, Diagnostic, Source

MOST_BYTES = 2**26
MOST_MEMBERS = 2_000
"""Parts of a gzip file; what packs in parallel writes one for each 64 KB."""
_HELP = "WfFormat 1.5 is JSON with workflow.specification (tasks, files) and workflow.execution (tasks)"
SPLIT = "split the workflow into smaller ones"
_GZIP = b"\x1f\x8b"
_WINDOW = 31  # zlib's way of saying: a gzip header
_PIECE = 2**16
_MEMBER = re.compile(rb"[^\0]")  # some writers pad with zeros


def unpacked(data: bytes, path: str) -> str:
    """The text of a JSON file or of one compressed by gzip. Raises CompileError E0698."""
    if len(data) > MOST_BYTES:
        raise refused(path, f"the file has more than {MOST_BYTES // 2**20} MB", help=SPLIT)
    if data.startswith(_GZIP):
        data = _inflated(data, path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise refused(path, "this is no text", why=f"byte {error.start} is not UTF-8") from None


def refused(path: str, title: str, why: str = "", help: str = _HELP) -> CompileError:
    """The error for a file that cannot be read at all."""
    return CompileError(Source(path, ""), (Diagnostic("E0698", title, why=why, help=help, path=path),))


def _inflated(data: bytes, path: str) -> bytes:
    """All members of a gzip file, one after the other, at most MOST_BYTES and a piece."""
    parts: list[bytes] = []
    view, place, size = memoryview(data), 0, 0
    for _ in range(MOST_MEMBERS):
        engine = zlib.decompressobj(_WINDOW)
        rest: bytes | memoryview = b""
        while not engine.eof:
            if not rest:
                rest = view[place : place + _PIECE]
                place += len(rest)
            ended = not rest
            try:
                parts.append(engine.decompress(rest, _PIECE))
            except zlib.error as error:
                raise refused(path, "this is no gzip file", why=str(error)) from None
            rest = engine.unconsumed_tail
            size += len(parts[-1])
            if size > MOST_BYTES:
                raise _too_large(path)
            if ended and not parts[-1] and not engine.eof:
                raise refused(path, "the gzip file ends too early", help="fetch it once more")
        following = _MEMBER.search(data, place - len(engine.unused_data))
        if following is None:
            return b"".join(parts)
        place = following.start()
    raise refused(path, f"the gzip file has more than {MOST_MEMBERS:,} members", help="compress it as one")


def _too_large(path: str) -> CompileError:
    return refused(
        path,
        f"the file unpacks to more than {MOST_BYTES // 2**20} MB",
        why="that much would fill the memory before anything of it is read",
        help=SPLIT,
    )
