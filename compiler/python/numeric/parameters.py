"""What is known of the arguments of a numeric function when its code is made."""

from attrs import frozen

WEAK = {"int": "i64", "float": "f64", "bool": "bool"}
"""Python's own numbers, and the dtype in which they travel."""

STRONG = {"bool_": "bool"}
"""NumPy's numbers whose dtype has the name of one of Python's."""


@frozen
class Parameter:
    """One parameter: its dtype (`int`, `float` and `bool` are Python's own), and its extents, each 1 or a
    name; or the value for which the code is made. `same` names the extent that a whole number is equal to;
    None where nobody looked for one. `least` says how long each axis is at least, as far as asked. One that
    is `turned` comes with its axes in reverse."""

    name: str
    dtype: str
    dims: tuple[int | str, ...] = ()
    value: object = None
    known: bool = False
    same: str | None = None
    least: tuple[int, ...] = ()
    turned: bool = False
