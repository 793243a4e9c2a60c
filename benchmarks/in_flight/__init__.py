"""Very many calls at once: what each of them costs, and whether all of them can be let go of."""
