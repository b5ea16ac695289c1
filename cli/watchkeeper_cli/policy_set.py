"""The policies in force: the shipped library, and what the user's folders add."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from watchkeeper_cli import cache
from watchkeeper_cli.ending import USAGE, CommandError
from watchkeeper_cli.output.text import plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from watchkeeper_detection.policy.errors import PolicyError
    from watchkeeper_detection.policy_loading import Document
    from watchkeeper_detection.program import Program

SUFFIXES = (".yaml", ".yml", ".json")
KERNEL_PART = (".kernel", b"of these files the rules about the kernel")
"""What makes the key of that part in the cache another one; no file of policies is called so."""


@dataclass(slots=True)
class PolicySet:
    """What a set of files holds, and everything that is wrong with how it is written."""

    documents: list[Document] = field(default_factory=list)
    errors: list[PolicyError] = field(default_factory=list)
    salvaged: list[Document] = field(default_factory=list)


def library() -> Path:
    """Folder of the shipped policies: inside the package when installed from a wheel, in the tree otherwise."""
    packaged = Path(__file__).parent / "library"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "policies" / "library"


def read_files(roots: Iterable[Path]) -> list[tuple[str, bytes]]:
    """Name and content of every policy file below the roots (or of the roots themselves). Ends the command when one is unreadable."""
    files: list[tuple[str, bytes]] = []
    for root in roots:
        try:
            if root.suffix == ".jsonl":  # cases, swept up by a shell's wildcard
                continue
            found = [root] if root.is_file() else sorted(below(root))
            files += [(os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path), path.read_bytes()) for path in found]
        except OSError as error:
            raise CommandError(f"can't read policies from {error.filename or root}: {error.strerror}; mend it, or name another folder or file", USAGE) from None
    return files


def below(folder: Path) -> Iterator[Path]:
    """Policy files of a folder and those below it. Raises OSError for a folder or link that leads nowhere: a policy left out must not go unnoticed."""

    def give_up(error: OSError) -> None:
        raise error

    for place, folders, names in os.walk(folder, onerror=give_up):
        folders[:] = [name for name in folders if not name.startswith("..")]  # where a mounted ConfigMap has everything once more
        for path in (Path(place, name) for name in names):
            if path.suffix in SUFFIXES and stat.S_ISREG(path.stat().st_mode):
                yield path


def roots_of(folders: Sequence[Path], *, with_library: bool) -> list[Path]:
    return [*([library()] if with_library else []), *folders]


def load_set(files: Iterable[tuple[str, bytes]]) -> PolicySet:
    """The objects of the files, in their order."""
    from watchkeeper_detection.policy_loading import load_policies, salvage

    found = PolicySet()
    for name, content in files:
        loaded = load_policies(content, name)
        found.documents += loaded.documents
        found.errors += loaded.errors
        found.salvaged += salvage(content, name) if loaded.errors else []
    return found


def program_of(folders: Sequence[Path], *, with_library: bool) -> Program:
    """The checked program of all policies, from the cache where it is. Ends the command when a policy is wrong, naming every error."""
    files = read_files(roots_of(folders, with_library=with_library))
    key = cache.key_of(files)
    program = cache.load(key)
    if program is None:
        from watchkeeper_detection.checking import check_policies

        loaded = load_set(files)
        checked = check_policies([*loaded.documents, *loaded.salvaged])
        refuse([*loaded.errors, *checked.errors])
        program = checked.program
        cache.store(key, program)
    if not program.rules:
        raise CommandError("no rules are in force: name a folder of policies with --policies, or leave out --no-library", USAGE)
    return program


def kernel_program_of(folders: Sequence[Path], *, with_library: bool) -> Program:
    """The part of `program_of` that the sensor judges by.

    Another process makes what is not in the cache: a long run keeps none of the 30 MiB that checking takes, nor of the 8 that other rules take.
    """
    key = cache.key_of([*read_files(roots_of(folders, with_library=with_library)), KERNEL_PART])
    program = cache.load(key)
    if program is None:
        _kept_by_another_process(key, folders, with_library=with_library)
        program = cache.load(key)
    return _of_kernel(program_of(folders, with_library=with_library)) if program is None else program


def _of_kernel(program: Program) -> Program:
    """Rules about what any kernel may tell; what this one tells is for the sensor to say."""
    from watchkeeper_detection.program import narrowed_to
    from watchkeeper_detection.vocabulary import kernel

    return narrowed_to(program, {kind.name for kind in kernel.KINDS})


def _kept_by_another_process(key: str, folders: Sequence[Path], *, with_library: bool) -> None:
    """Fill the cache. What is wrong with the policies is said by whoever asks next."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        cache.store(key, _of_kernel(program_of(folders, with_library=with_library)))
    except CommandError:
        pass
    finally:
        os._exit(0)


def refuse(errors: Sequence[PolicyError]) -> None:
    """End the command when there are errors."""
    if errors:
        raise CommandError(
            f"{plural(len(errors), 'error')} in the policies; nothing was judged (watchkeeper lint checks a folder before it is used)",
            USAGE,
            tuple(str(error) for error in errors),
        )


def library_program() -> Program:
    """The shipped library, as it stands."""
    return program_of((), with_library=True)
