"""Properties of the checker over generated programs."""

import pytest
from hypothesis import HealthCheck, given, settings

from flowc.compiler.checker import check
from flowc.compiler.diagnostics.model import CompileError, Source
from flowc.compiler.syntax import Program
from flowc.testing.strategies.programs import typed_programs

SOURCE = Source("generated.flow", "")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(typed_programs())
def test_generated_typed_programs_check_without_errors(program: Program) -> None:
    try:
        checked = check(program, SOURCE)
    except CompileError as error:
        pytest.fail("\n".join(f"{d.code} {d.title} {d.why}" for d in error.diagnostics))
    assert "main" in checked.callables
