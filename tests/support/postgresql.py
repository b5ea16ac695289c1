"""A real PostgreSQL server for tests: the host's, or the distribution's packages unpacked into a cache and never installed.

It runs as an unprivileged user, listens on a UNIX socket in its own folder and nowhere else, and syncs as it does in production.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Self
from urllib.parse import quote

import psycopg

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "watchkeeper" / "postgresql"
VERSIONS = ("17", "16", "15", "14")
LIBRARIES = ("libpq5", "libxslt1.1", "libxml2", "libicu72", "libicu76", "libicu74")
USERS = ("postgres", "nobody")
START_SECONDS = 60.0


class NoServerError(Exception):
    """Why there can be no server here."""


def programs(folder: Path) -> tuple[Path, dict[str, str]]:
    """Folder of initdb and postgres, and the environment that they need. What is unpacked goes to `folder`: the cache may be closed to others. Raises NoServerError."""
    for version in VERSIONS:
        if (found := Path("/usr/lib/postgresql") / version / "bin").joinpath("initdb").exists():
            return found, {}
    return opened(folder)


def opened(folder: Path) -> tuple[Path, dict[str, str]]:
    """The unpacked server, in a folder that its user may enter."""
    shutil.copytree(_unpacked() / "usr", folder / "usr", symlinks=True, copy_function=_linked)
    for version in VERSIONS:
        if (found := folder / "usr" / "lib" / "postgresql" / version / "bin").joinpath("initdb").exists():
            return found, {"LD_LIBRARY_PATH": str(next((folder / "usr" / "lib").glob("*-linux-gnu")))}
    raise NoServerError(f"{CACHE} holds no server")


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk
        shutil.copy2(source, target)


def _unpacked() -> Path:
    CACHE.mkdir(parents=True, exist_ok=True)
    layer = CACHE / "layer"
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes
        if layer.exists():
            return layer
        with tempfile.TemporaryDirectory(dir=CACHE) as name:
            folder = Path(name)
            if not _download(folder):
                subprocess.run(["apt-get", "-qq", "update"], capture_output=True, check=False)
                if not _download(folder):
                    raise NoServerError("the packages of a PostgreSQL server can't be had")
            for package in sorted(folder.glob("*.deb")):
                subprocess.run(["dpkg-deb", "-x", package, folder / "layer"], check=True)
            (folder / "layer").rename(layer)
    return layer


def _download(folder: Path) -> bool:
    """The server of the newest version that there is, and the libraries that exist under these names."""
    fetch = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download"]
    for version in VERSIONS:
        if not subprocess.run([*fetch, f"postgresql-{version}"], cwd=folder, capture_output=True, check=False).returncode:
            for library in LIBRARIES:
                subprocess.run([*fetch, library], cwd=folder, capture_output=True, check=False)
            return True
    return False


class PostgreSQL:
    """Runs while the context lasts; `url()` names a new, empty database. Raises NoServerError."""

    def __init__(self) -> None:
        self._made = 0

    def __enter__(self) -> Self:
        user = next((name for name in USERS if name in {entry.pw_name for entry in pwd.getpwall()}), None) if os.geteuid() == 0 else ""
        if user is None:
            raise NoServerError("no unprivileged user to run a server as")
        self._as = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}
        with contextlib.ExitStack() as opening:
            self._folder = Path(opening.enter_context(tempfile.TemporaryDirectory(prefix="wk-pg-", dir="/tmp")))
            self._programs, self._environment = programs(self._folder)
            if user:
                shutil.chown(self._folder, user)
            self._run("initdb", "--auth=trust", "--username=watchkeeper", "--encoding=UTF8", "--locale=C", "--no-sync", f"--pgdata={self._folder / 'store'}")
            self._start()
            opening.callback(self.stop)
            self._opened = opening.pop_all()
        return self

    def _run(self, program: str, *words: str) -> str:
        done = subprocess.run(
            [self._programs / program, *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=self._folder,
            env=self._clean(),
            timeout=START_SECONDS,
            **self._as,
        )
        if done.returncode:
            raise NoServerError(f"{program} failed: {done.stderr.strip()[-400:]}")
        return done.stdout

    def _clean(self) -> dict[str, str]:
        return {"PATH": "/usr/bin:/bin", "HOME": str(self._folder), "LC_ALL": "C", **self._environment}

    def _start(self) -> None:
        options = f"-c listen_addresses= -c unix_socket_directories={self._folder} -c max_connections=50 -c shared_buffers=16MB -c jit=off"
        self._run("pg_ctl", "start", "--wait", f"--pgdata={self._folder / 'store'}", f"--log={self._folder / 'log'}", f"--options={options}")

    def stop(self) -> None:
        """Connections are broken off; what was committed is there after `restart`."""
        with contextlib.suppress(NoServerError):
            self._run("pg_ctl", "stop", "--wait", "--mode=immediate", f"--pgdata={self._folder / 'store'}")

    def restart(self) -> None:
        self.stop()
        self._start()

    def url(self) -> str:
        """Of a new, empty database."""
        self._made += 1
        name = f"watchkeeper_{self._made}"
        with psycopg.connect(host=str(self._folder), user="watchkeeper", dbname="postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return f"postgresql://watchkeeper@/{name}?host={quote(str(self._folder), safe='')}"

    def __exit__(self, *_: object) -> None:
        self._opened.close()
