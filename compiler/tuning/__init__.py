"""Measuring a machine and fitting the cost model to it: programs to try, their times, the model."""
