"""The first call of a kernel, which compiles it, and every later call on little data."""
