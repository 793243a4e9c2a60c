"""The scheduler: ready nodes over frames, worker threads for bodies, one loop for waiting."""
