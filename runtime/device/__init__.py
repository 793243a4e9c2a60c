"""Kernels on a GPU: code for it, memory on it, calls of it. CuPy is imported where a GPU is asked for, never
before."""
