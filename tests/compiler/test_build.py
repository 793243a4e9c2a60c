"""Cached code is forgotten with the compiler that made it."""

import os
from pathlib import Path

import pytest

from flowc.compiler import build


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FLOWC_CACHE_DIR", str(tmp_path / "cache"))
    for room in build._ROOMS:
        (tmp_path / "checkout" / room).mkdir(parents=True, exist_ok=True)
    (tmp_path / "checkout/passes/first.py").write_text("x = 1\n")
    (tmp_path / "checkout/runtime/pool.ll").write_text("; none\n")
    return tmp_path / "checkout"


def test_a_change_of_its_text_makes_another_compiler(root: Path) -> None:
    before = build._hash_of_text(str(root))
    (root / "passes/first.py").write_text("x = 20\n")
    changed = build._hash_of_text(str(root))
    (root / "passes/second.py").write_text("")
    assert len({before, changed, build._hash_of_text(str(root))}) == 3


def test_neither_the_time_of_a_change_nor_the_place_of_a_checkout_makes_another(root: Path) -> None:
    before = build._hash_of_text(str(root))
    os.utime(root / "passes/first.py", (1, 1))
    assert build._hash_of_text(str(root)) == before
    assert build._hash_of_text(str(root.rename(root.parent / "moved"))) == before


def test_what_has_not_changed_is_not_read_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = build._hash_of_text(str(root))
    found = build.object_cache.read
    read: list[str] = []
    monkeypatch.setattr(build.object_cache, "read", lambda key: read.append(key) or found(key))
    monkeypatch.setattr(build.object_cache, "write", None)
    assert build._hash_of_text(str(root)) == before
    assert len(read) == 1
