"""What stands for the contents of cache blocks: chained hashes of a text, four bytes a token."""

BYTES_PER_TOKEN = 4
"""As `estimate_tokens` counts."""


def block_ids(text: str, block: int) -> tuple[int, ...]:
    """An id for each full block of `block` tokens of a text; equal ids mean equal beginnings.

    Only their equality counts, and that within one process, so the built-in hash serves.
    """
    content = text.encode("utf-8", "surrogatepass")
    size = block * BYTES_PER_TOKEN
    ids: list[int] = []
    last = 0
    for begin in range(0, len(content) - size + 1, size):
        last = hash((last, content[begin : begin + size]))
        ids.append(last)
    return tuple(ids)
