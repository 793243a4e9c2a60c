"""The history of traced runs: what calls and steps took, for predictions. No prompts, answers or values."""
