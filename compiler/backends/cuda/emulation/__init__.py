"""Device code on the processor: the header that stands in for CUDA, and how text is compiled against it."""
