"""Recorded scientific workflows: how well task times are forecast, and what schedules make of it."""
