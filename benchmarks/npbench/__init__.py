"""NPBench, the public yardstick of NumPy compilers: read from a checkout, never shipped."""
