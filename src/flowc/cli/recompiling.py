"""Code for a GPU that an artifact has none for, made when it is loaded."""


def recompiled(text: str, architecture: str) -> bytes:
    """Machine code of CUDA C++ for a card that an artifact has none for; raises FlowError without a
    compiler."""
    from flowc.compiler.backends.cuda.nvrtc import compile_text

    return compile_text(text, architecture).cubin
