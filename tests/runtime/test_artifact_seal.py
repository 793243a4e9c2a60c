"""The seal of an artifact: any changed byte is refused, wherever it stands."""

from pathlib import Path

import pytest

from flowc.runtime.artifact import Artifact, read, write
from flowc.runtime.errors import FlowError
from flowc.runtime.plan import Parameter
from flowc.runtime.types import INT
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
