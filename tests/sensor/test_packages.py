"""Which package owns a path: dpkg's, rpm's and apk's databases, as they are and as they change."""

import random
import shutil
import sqlite3
import struct
import subprocess
import time
from pathlib import Path

import pytest

from watchkeeper_sensor.packages import Packages
from watchkeeper_sensor.packages.databases import DatabaseError, package_of
from watchkeeper_sensor.packages.index import FullError, PathIndex


def known(packages):
    """Wait until the index is as the disk is."""
    end = time.monotonic() + 20
    while not packages.is_known():
        assert time.monotonic() < end
        time.sleep(0.01)
    return packages


@pytest.fixture
def on(tmp_path):
    made = []

    def make():
        made.append(Packages(tmp_path))
        return made[-1]

    yield make
    for one in made:
        one.close()


def dpkg(root, package, *paths):
    folder = root / "var/lib/dpkg/info"
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / "part"
    part.write_text("".join(f"{path}\n" for path in ("/.", *paths)))
    part.rename(folder / f"{package}.list")


def test_a_path_of_dpkg_has_the_name_of_its_package_without_the_architecture(on, tmp_path):
    dpkg(tmp_path, "libc6:amd64", "/lib/libc.so.6")
    dpkg(tmp_path, "coreutils", "/usr/bin", "/usr/bin/ls")
    packages = known(on())
    assert [packages.owner(path) for path in ("/lib/libc.so.6", "/usr/bin/ls", "/usr/bin/ls2", "/.")] == ["libc6", "coreutils", None, None]


def test_what_is_installed_or_removed_later_is_known_when_somebody_asks_again(on, tmp_path):
    dpkg(tmp_path, "coreutils", "/usr/bin/ls")
    packages = known(on())
    dpkg(tmp_path, "nmap", "/usr/bin/nmap")
    assert not packages.is_known()
    assert known(packages).owner("/usr/bin/nmap") == "nmap"
    (tmp_path / "var/lib/dpkg/info/nmap.list").unlink()
    assert known(packages).owner("/usr/bin/nmap") is None
    assert packages.owner("/usr/bin/ls") == "coreutils"


def test_a_folder_that_is_a_link_is_followed_as_the_kernel_tells_paths(on, tmp_path):
    (tmp_path / "bin").symlink_to("usr/bin")
    dpkg(tmp_path, "dash", "/bin/dash")
    assert known(on()).owner("/usr/bin/dash") == "dash"


def test_a_diverted_file_belongs_to_each_where_it_lies(on, tmp_path):
    dpkg(tmp_path, "dash", "/bin/sh")
    dpkg(tmp_path, "bash-as-sh", "/bin/sh")
    (tmp_path / "var/lib/dpkg/diversions").write_text("/bin/sh\n/bin/sh.distrib\nbash-as-sh\n")
    packages = known(on())
    assert (packages.owner("/bin/sh"), packages.owner("/bin/sh.distrib")) == ("bash-as-sh", "dash")


def test_a_host_without_packages_has_no_owner_and_nothing_to_wait_for(on):
    assert not on().are_there


def a_header(name, *paths):
    """An rpm's header as the format's description says: counts, entries, data."""
    folders = sorted({path.rpartition("/")[0] + "/" for path in paths})
    data, entries = b"", []

    def add(tag, kind, count, content):
        nonlocal data
        data += bytes(-len(data) % 4 if kind == 4 else 0)
        entries.append(struct.pack(">IIII", tag, kind, len(data), count))
        data += content

    def texts(*values):
        return b"".join(value.encode() + b"\0" for value in values)

    add(1000, 6, 1, texts(name))
    if paths:
        add(1116, 4, len(paths), b"".join(struct.pack(">I", folders.index(path.rpartition("/")[0] + "/")) for path in paths))
        add(1117, 8, len(paths), texts(*(path.rpartition("/")[2] for path in paths)))
        add(1118, 8, len(folders), texts(*folders))
    return struct.pack(">II", len(entries), len(data)) + b"".join(entries) + data


@pytest.fixture
def rpm(tmp_path):
    folder = tmp_path / "usr/lib/sysimage/rpm"
    folder.mkdir(parents=True)
    with sqlite3.connect(folder / "rpmdb.sqlite") as connection:
        connection.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)")
        yield lambda query, *values: (connection.execute(query, values), connection.commit())
    connection.close()


def test_rpms_are_read_as_they_come_and_go(on, rpm):
    rpm("INSERT INTO Packages (blob) VALUES (?)", a_header("bash", "/usr/bin/bash", "/etc/skel/.bashrc"))
    rpm("INSERT INTO Packages (blob) VALUES (?)", a_header("gpg-pubkey"))
    packages = known(on())
    assert [packages.owner(path) for path in ("/usr/bin/bash", "/etc/skel/.bashrc", "/usr/bin/zsh")] == ["bash", "bash", None]
    rpm("INSERT INTO Packages (blob) VALUES (?)", a_header("zsh", "/usr/bin/zsh"))
    assert known(packages).owner("/usr/bin/zsh") == "zsh"
    rpm("DELETE FROM Packages WHERE hnum = 1")
    assert (known(packages).owner("/usr/bin/bash"), packages.owner("/usr/bin/zsh")) == (None, "zsh")


def test_a_database_that_can_not_be_read_is_said_to_be(on, tmp_path):
    folder = tmp_path / "var/lib/rpm"
    folder.mkdir(parents=True)
    (folder / "Packages.db").write_bytes(b"RpmP")
    packages = known(on())
    assert packages.are_there
    assert "is not read" in packages.refused


@pytest.mark.parametrize("cut", [0, 4, 12, 60, 100])
def test_a_damaged_header_is_refused(cut):
    with pytest.raises(DatabaseError):
        package_of(a_header("bash", "/usr/bin/bash", "/etc/skel/.bashrc")[:cut])


def test_apk_is_read_whole(on, tmp_path):
    path = tmp_path / "lib/apk/db/installed"
    path.parent.mkdir(parents=True)
    path.write_text("C:Q1x\nP:busybox\nV:1\nF:bin\nR:busybox\nZ:Q1y\nF:etc\nR:securetty\n\nP:musl\nF:lib\nR:ld-musl-x86_64.so.1\n\n")
    packages = known(on())
    owners = [packages.owner(path) for path in ("/bin/busybox", "/etc/securetty", "/lib/ld-musl-x86_64.so.1", "/bin")]
    assert owners == ["busybox", "busybox", "musl", None]


def test_an_index_holds_what_was_put_in_while_it_grows():
    index = PathIndex()
    numbers = [index.package(f"p{number}") for number in range(100)]
    for number in range(100_000):
        index.add(f"/usr/share/{number}", numbers[number % 100])
    assert len(index) == 100_000
    assert all(index.find(f"/usr/share/{number}") == f"p{number % 100}" for number in range(0, 100_000, 97))
    assert not any(index.find(f"/usr/lib/{number}") for number in range(1000))


def test_a_full_index_says_so():
    index = PathIndex(most=2)
    for number in range(2):
        index.add(f"/{number}", index.package("p"))
    with pytest.raises(FullError):
        index.add("/2", index.package("p"))


@pytest.mark.skipif(shutil.which("dpkg-query") is None, reason="no host of dpkg")
def test_this_hosts_files_belong_to_whom_dpkg_says():
    diverted = Path("/var/lib/dpkg/diversions").read_text().splitlines()  # of these it says by whom, and not whose they are
    names = random.Random(7).sample(sorted(path.name for path in Path("/usr/bin").iterdir() if not path.is_symlink() and str(path) not in diverted), 60)
    asked = [f"{folder}/{name}" for name in names for folder in ("/usr/bin", "/bin")]
    answer = subprocess.run(["dpkg-query", "-S", *asked], capture_output=True, text=True, check=False).stdout
    owners = {name: set() for name in names}
    for line in answer.splitlines():
        packages, _, path = line.rpartition(": ")
        if not line.startswith("diversion"):
            owners[path.rpartition("/")[2]].update(one.partition(":")[0] for one in packages.split(", "))
    packages = Packages(Path("/"))
    try:
        known(packages)
        assert [name for name in names if packages.owner(f"/usr/bin/{name}") not in (owners[name] or {None})] == []
        assert any(owners.values())
    finally:
        packages.close()
