"""Files of any size, and devices that never end, read up to a limit."""

from pathlib import Path


def read_up_to(path: Path, most: int) -> bytes:
    """The bytes of a file; of a longer one a byte more than `most`, by which that is told. Raises OSError."""
    with path.open("rb") as file:
        return file.read(most + 1)
