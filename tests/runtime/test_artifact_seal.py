"""The seal of an artifact: any changed byte is refused, wherever it stands; so is what leads out of it."""

import io
import zipfile
from pathlib import Path

import pytest

from flowc.runtime import artifact
from flowc.runtime.artifact import Artifact, read, write
from flowc.runtime.errors import FlowError
from flowc.runtime.plan import Parameter
from flowc.runtime.types import INT
from tests.fuzz.targets.artifacts import resealed
from tests.runtime.plans import Builder, plan


def _sealed() -> bytes:
    body = Builder()
    region = body.region(body.apply("add", body.parameter(), body.constant(1)))
    return write(Artifact(plan(region, Parameter("x", INT))))


@pytest.mark.parametrize("flip", [1, 0x20, 0xFF])
def test_a_changed_byte_anywhere_is_refused(tmp_path: Path, flip: int) -> None:
    whole = _sealed()
    path = tmp_path / "out.flowc"
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ flip]) + whole[position + 1 :])
        with pytest.raises(FlowError) as refused:
            read(path)
        assert refused.value.problem.code in ("E0640", "E0641"), position


def test_an_artifact_cut_short_or_with_bytes_around_it_is_refused(tmp_path: Path) -> None:
    whole = _sealed()
    path = tmp_path / "out.flowc"
    for content in (*(whole[:end] for end in range(0, len(whole), 7)), b"x" + whole, whole + b"x"):
        path.write_bytes(content)
        with pytest.raises(FlowError):
            read(path)


def _with_member(name: str, content: bytes) -> bytes:
    """An artifact that somebody who knows how has sealed, with a member more."""
    with zipfile.ZipFile(io.BytesIO(_sealed())) as archive:
        found = {each: archive.read(each) for each in archive.namelist()}
    return resealed({**found, name: content})


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/x", "a\\b"])
def test_a_member_whose_name_leads_out_of_the_artifact_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "out.flowc"
    path.write_bytes(_with_member("source/x.py", b"pass"))
    read(path)
    path.write_bytes(_with_member(name, b"pass"))
    with pytest.raises(FlowError, match="leads out of it"):
        read(path)


def test_a_member_that_is_too_large_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.flowc"
    path.write_bytes(_with_member("source/x.py", bytes(200_000)))
    read(path)
    monkeypatch.setattr(artifact, "LARGEST_MEMBER", 100_000)
    with pytest.raises(FlowError, match="larger than 100,000 bytes"):
        read(path)
