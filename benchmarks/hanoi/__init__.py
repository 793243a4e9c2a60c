"""The Tower of Hanoi with a model that errs, in a run that is killed again and again.

After Meyerson et al., "Solving a Million-Step LLM Task with Zero Errors", 2025: each move is a vote that ends
when an answer is a few ballots ahead.
"""
