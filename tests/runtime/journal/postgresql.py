"""A PostgreSQL server for tests, from the system's own package; its files are in a folder of their own."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))


def programs() -> Path | None:
    """The folder with `initdb` and `postgres`; None where there is none."""
    if _PROGRAMS:
        return _PROGRAMS[-1]
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def _unprivileged() -> list[str]:
    """What to begin a command with, so that it does not run as root, as which PostgreSQL refuses to run."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid=nobody", f"--regid={_nobody().pw_gid}", "--clear-groups"]


def _nobody() -> pwd.struct_passwd:
    return pwd.getpwnam("nobody")


@contextmanager
def server() -> Iterator[str]:
    """A server that listens on a socket in its own folder alone; gives the URL of an empty database."""
    where = programs()
    assert where is not None
    with tempfile.TemporaryDirectory(prefix="flowc-postgresql-") as folder:
        data = Path(folder, "data")
        data.mkdir()
        if os.geteuid() == 0:
            for path in (Path(folder), data):
                os.chown(path, _nobody().pw_uid, _nobody().pw_gid)
        _ran(where / "initdb", "-D", data, "-U", "flowc", "--auth=trust", "--no-sync", "--encoding=UTF8")
        settings = (
            "listen_addresses=''",
            f"unix_socket_directories={folder}",
            "dynamic_shared_memory_type=mmap",  # which leaves nothing behind
            "fsync=off",
            "max_connections=40",
        )
        options = " ".join(f"-c {setting}" for setting in settings)
        _ran(where / "pg_ctl", "-D", data, "-w", "-l", Path(folder, "log"), "-o", options, "start")
        try:
            yield f"postgresql://flowc:hidden@/postgres?host={folder}"
        finally:
            _ran(where / "pg_ctl", "-D", data, "-m", "fast", "stop")


def _ran(*words: object) -> None:
    done = subprocess.run(
        [*_unprivileged(), *map(str, words)], cwd="/", capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
