"""A module with no campaign."""
