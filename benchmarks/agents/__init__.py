"""Agentic workloads: the graphs of Halo, plans of LLMCompiler, documents in bulk; flowc beside its peers."""
