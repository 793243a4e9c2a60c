"""The cache on disk gives back what was put in, stays within bounds, and survives what others do to it."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flowc.runtime import object_cache, processor


@pytest.fixture(autouse=True)
def private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWC_CACHE_DIR", str(tmp_path))


def test_an_entry_is_read_as_it_was_written() -> None:
    assert object_cache.read("key") is None
    object_cache.write("key", b"content")
    assert object_cache.read("key") == b"content"


@pytest.mark.parametrize("damage", [b"", b"short", bytes(40)])
def test_a_damaged_entry_is_none(damage: bytes) -> None:
    object_cache.write("key", b"content")
    (object_cache.folder() / "key").write_bytes(damage)
    assert object_cache.read("key") is None


def test_what_is_no_file_is_no_entry_and_is_not_waited_for() -> None:
    object_cache.write("other", b"content")
    os.mkfifo(object_cache.folder() / "key")
    assert object_cache.read("key") is None


def test_writers_of_one_entry_never_show_half_of_it() -> None:
    contents = [bytes([number]) * 50_000 for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda content: object_cache.write("0key", content), contents * 4))
        found = set(pool.map(lambda _: object_cache.read("0key"), range(16)))
    assert found <= set(contents)
    assert [path.name for path in object_cache.folder().iterdir()] == ["0key"]


def test_the_cache_forgets_what_was_unused_for_longest() -> None:
    for number, key in enumerate(("1a", "1b", "1c")):
        object_cache.write(key, bytes(1000))
        os.utime(object_cache.folder() / key, (number, number))
    assert object_cache.read("1a") is not None  # used again, so it is the youngest now
    object_cache.trim(2 * 1032)
    assert sorted(path.name for path in object_cache.folder().iterdir()) == ["1a", "1c"]


def test_a_cache_written_to_keeps_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_cache, "LIMIT", 5000)
    for number in range(20):
        object_cache.write(f"0{number}", bytes(1000))
    assert sum(path.stat().st_size for path in object_cache.folder().iterdir()) <= 5000


def test_this_machine_runs_its_own_levels_and_lacks_none_of_its_features() -> None:
    host = processor.host()
    assert processor.lacking(host.features) == []
    missing = [item[1:] for item in host.features.split(",") if item.startswith("-")]
    assert processor.lacking(",".join(f"+{name}" for name in missing[:3])) == missing[:3]
    assert not processor.runs("no such level")
    assert "baseline" in processor.portable()


def test_a_processor_is_asked_for_once_on_a_machine_and_again_when_it_is_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []
    answer = processor.host()
    monkeypatch.setattr(processor, "_host", lambda: asked.append(1) or answer)
    for described, times in [("flags: a", 1), ("flags: a", 1), ("flags: b", 2), ("", 3), ("", 4)]:
        monkeypatch.setattr(processor, "_described", lambda described=described: described)
        assert processor.host.__wrapped__() == answer
        assert len(asked) == times


def test_a_processor_is_described_by_what_its_first_core_can_do(tmp_path: Path) -> None:
    path = tmp_path / "cpuinfo"
    core = "processor\t: {}\nmodel\t\t: 2\ncpu MHz\t\t: {}\nflags\t\t: fpu {}\n\n"
    path.write_text(core.format(0, 2596.1, "avx2") + core.format(1, 2400.0, "other"))
    first = processor._described(path)
    assert first == "model\t\t: 2\nflags\t\t: fpu avx2\n"
    path.write_text(core.format(0, 1000.0, "avx2"))
    assert processor._described(path) == first
    path.write_text("processor\t: 0\nmodel\t\t: 2\n\n")
    assert processor._described(path) == processor._described(tmp_path / "none") == ""
