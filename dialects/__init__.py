"""The IR: the flow, agent, array and plan dialects on xDSL."""
