"""What a durable run costs: keeping steps, syncs, going on, beside LangGraph's checkpointer and DBOS."""
