"""What all compilations and runs are held to: reference semantics, tolerances, changes without effect."""
