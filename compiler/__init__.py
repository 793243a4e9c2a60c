"""Source to artifact: syntax tree, checker, diagnostics, lowering, back ends."""
