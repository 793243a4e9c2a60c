"""Back ends: from optimised IR to machine code, or to the plan that the runtime executes."""
