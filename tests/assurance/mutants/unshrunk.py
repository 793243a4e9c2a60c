"""A plugin of pytest for runs that ask only whether a test fails: Hypothesis leaves that as it found it."""

import pytest
from hypothesis import Phase, settings


def pytest_configure(config: pytest.Config) -> None:
    """After the tests' own conftest has chosen a profile."""
    chosen = settings.get_profile(settings.get_current_profile_name())
    settings.register_profile("unshrunk", chosen, phases=[Phase.explicit, Phase.generate])
    settings.load_profile("unshrunk")
