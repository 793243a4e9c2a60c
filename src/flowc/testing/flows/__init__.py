"""Tests of one's own flows: arguments, stand-ins, adversaries, faults, kills, and what must hold of a run."""
