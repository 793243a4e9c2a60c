"""The cost model that passes and the scheduler ask."""
