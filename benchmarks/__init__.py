"""Every figure that the README quotes, from one command: `python -m benchmarks [NAME ...]`."""
