"""A module of campaigns that cannot be imported."""

raise ImportError("what it needs is not there")
