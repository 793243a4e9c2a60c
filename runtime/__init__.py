"""Plan to result: scheduler, providers, tools, limits, trace."""
