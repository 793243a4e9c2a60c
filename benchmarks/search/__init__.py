"""Programs with a real choice in them, each with its flowc.toml, and what -O3 makes of them beside -O2."""
