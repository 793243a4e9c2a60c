"""flowc.toml as commands find it: the nearest one upwards from a folder, else the user's own."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowc.runtime.config import Config


def config_near(folder: Path) -> "Config":
    """What flowc.toml says near `folder`."""
    from platformdirs import user_config_path

    from flowc.runtime.config import find_config, load_config

    return load_config(find_config(folder, user_config_path("flowc")))
