"""Kernels on a GPU beside those of other libraries, and what can be said of them where there is none."""
