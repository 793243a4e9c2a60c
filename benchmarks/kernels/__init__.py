"""The kernels of data programs as a user writes them, beside the best that other libraries make of them."""
