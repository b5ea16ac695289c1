"""Which kernels the tests run on, and which of a mirror's packages holds the newest of a series."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Series → the suites that may give it. When a mirror has a series no longer, this table is what to change.
SUITES = {
    "5.10": ("bullseye-security", "bullseye"),
    "6.1": ("bookworm-security", "bookworm"),
    "6.12": ("trixie-security", "trixie"),
    "6.18": ("trixie-backports",),
    "7.2": ("sid", "trixie-backports"),
    "7.3": ("trixie-backports", "experimental"),
}
FLAVOUR = "cloud-amd64"


class KernelsError(Exception):
    """Why the guests can't be had or used; for people to read."""


@dataclass(frozen=True)
class Package:
    name: str
    version: str
    suite: str


def series_of(words: list[str]) -> list[str]:
    """The series that `--kernel` words mean; raises KernelsError for one that is not in the table."""
    if not words or "all" in words:
        return list(SUITES)
    if unknown := [word for word in words if word not in SUITES]:
        raise KernelsError(f"no such kernel: {unknown[0]}; there are {', '.join(SUITES)} and all")
    return list(dict.fromkeys(words))


def kernel_packages(series: str, names: set[str]) -> list[str]:
    """Of a mirror's package names, those that hold a kernel of the series.

    Up to 6.x that is linux-image-*; from 7.x on linux-binary-*, and the linux-image-* beside it is made of dependencies alone.
    """
    pattern = re.compile(rf"linux-(?:binary|image)-({re.escape(series)}\.\d[.+0-9a-z-]*-{FLAVOUR})")
    found = [match for name in sorted(names) if (match := pattern.fullmatch(name))]
    return [match[0] for match in found if match[0].startswith("linux-binary-") or f"linux-binary-{match[1]}" not in names]


def module_package(kernel_package: str) -> str | None:
    """The package with the kernel's modules, where they are not in the kernel's own."""
    return kernel_package.replace("linux-binary-", "linux-modules-") if kernel_package.startswith("linux-binary-") else None


def listed(madison: str) -> list[Package]:
    """Rows of `apt-cache madison`: name | version | mirror suite/section architecture Packages."""
    packages = []
    for line in madison.splitlines():
        name, version, where = (column.strip() for column in line.split("|"))
        if where.endswith("Packages"):
            packages.append(Package(name, version, where.split()[1].partition("/")[0]))
    return packages


def newest(series: str, packages: list[Package], names: set[str]) -> Package:
    """The package to take. Versions compare by their numbers before any `~`; raises KernelsError with what there is instead."""
    fitting = [package for package in packages if package.suite in SUITES[series]]
    if not fitting:
        there = sorted({match[1] for name in names if (match := re.match(rf"linux-(?:binary|image)-(\d+\.\d+)\..*-{FLAVOUR}$", name))})
        raise KernelsError(f"the mirror has no kernel {series} in {', '.join(SUITES[series])}; of all suites it has {', '.join(there) or 'none'}")
    return max(fitting, key=lambda package: [int(number) for number in re.findall(r"\d+", package.version.partition("~")[0])])
