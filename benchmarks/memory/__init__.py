"""How much memory a kernel takes beside its inputs and outputs."""
