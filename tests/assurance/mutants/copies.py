"""A copy of the tree in which faults are sown, one at a time."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import cache_from_source
from pathlib import Path

from tests.assurance.mutants.model import Mutant
from tests.assurance.worker import ROOT

LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "build", "dist", "*.egg-info", "__pycache__", ".hypothesis", ".*_cache"
)


@contextmanager
def copied(root: Path = ROOT) -> Iterator[Path]:
    """A copy of the tree, its links kept, as long as it is needed."""
    with tempfile.TemporaryDirectory(prefix="flowc-mutants-") as folder:
        copy = Path(folder) / "tree"
        shutil.copytree(root, copy, symlinks=True, ignore=LEFT_OUT)
        yield copy


def places(mutant: Mutant, root: Path = ROOT) -> int:
    """How often what is to be replaced is there: unless once, the mutant is no longer true of the code."""
    path = root / mutant.file
    return path.read_text(encoding="utf-8").count(mutant.old) if path.is_file() else 0


@contextmanager
def sown(mutant: Mutant, copy: Path) -> Iterator[None]:
    """The copy with the fault in it."""
    path = copy / mutant.file
    whole = path.read_text(encoding="utf-8")
    if whole.count(mutant.old) != 1:
        raise ValueError(f"{mutant.id}: the text to replace is there {whole.count(mutant.old)} times")
    _write(path, whole.replace(mutant.old, mutant.new))
    try:
        yield
    finally:
        _write(path, whole)


def _write(path: Path, text: str) -> None:
    """Python tells what it has compiled by the second and the size: neither need change."""
    path.write_text(text, encoding="utf-8")
    Path(cache_from_source(str(path))).unlink(missing_ok=True)
