"""The policies in force: the shipped library, and what the user's folders add."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from watchkeeper_cli import cache
from watchkeeper_cli.output.text import plural, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from watchkeeper_detection.policy.errors import PolicyError
    from watchkeeper_detection.policy.policy_exception import PolicyException
    from watchkeeper_detection.policy.policy_list import PolicyList
    from watchkeeper_detection.policy.runtime_policy import RuntimePolicy
    from watchkeeper_detection.program import Program

SUFFIXES = (".yaml", ".yml", ".json")
USAGE = 2


@dataclass(slots=True)
class PolicySet:
    """What a set of files holds, and everything that is wrong with them. `files` names the file of each policy."""

    policies: list[RuntimePolicy] = field(default_factory=list)
    exceptions: list[PolicyException] = field(default_factory=list)
    lists: list[PolicyList] = field(default_factory=list)
    errors: list[PolicyError] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)


def library() -> Path:
    """Folder of the shipped policies: inside the package when installed from a wheel, in the tree otherwise."""
    packaged = Path(__file__).parent / "library"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "policies" / "library"


def read_files(roots: Iterable[Path]) -> list[tuple[str, bytes]]:
    """Name and content of every policy file below the roots (or of the roots themselves). Ends the command when one is unreadable."""
    files: list[tuple[str, bytes]] = []
    for root in roots:
        try:
            found = [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.suffix in SUFFIXES and path.is_file())
            if not root.exists():
                raise FileNotFoundError(2, os.strerror(2), str(root))
            files += [(str(path), path.read_bytes()) for path in found]
        except OSError as error:
            print(f"watchkeeper: can't read policies from {shown(str(error.filename or root))}: {error.strerror}", file=sys.stderr)
            raise typer.Exit(USAGE) from None
    return files


def roots_of(folders: Sequence[Path], *, with_library: bool) -> list[Path]:
    return [*([library()] if with_library else []), *folders]


def load_set(files: Iterable[tuple[str, bytes]]) -> PolicySet:
    """Read the objects of the files. A list or exception of a later file replaces one of the same name; two policies of one name are an error."""
    from watchkeeper_detection.policy import PolicyError, PolicyException, PolicyList, RuntimePolicy
    from watchkeeper_detection.policy_loading import load_policies

    found = PolicySet()
    lists: dict[tuple[str, str], PolicyList] = {}
    exceptions: dict[tuple[str, str], PolicyException] = {}
    for name, content in files:
        documents, errors = load_policies(content, name)
        found.errors += errors
        for document in documents:
            match document.object:
                case RuntimePolicy() as policy:
                    if policy.metadata.name in found.files:
                        found.errors.append(
                            PolicyError(
                                policy.metadata.name, "", "metadata.name", f"is also the name of the policy in {found.files[policy.metadata.name]}", None, name
                            )
                        )
                        continue
                    found.files[policy.metadata.name] = name
                    found.policies.append(policy)
                case PolicyList() as values:
                    lists[values.metadata.namespace, values.metadata.name] = values
                case PolicyException() as exception:
                    exceptions[exception.metadata.namespace, exception.metadata.name] = exception
    found.lists, found.exceptions = list(lists.values()), list(exceptions.values())
    return found


def program_of(folders: Sequence[Path], *, with_library: bool) -> Program:
    """The checked program of all policies, from the cache where it is. Ends the command when a policy is wrong, naming every error."""
    files = read_files(roots_of(folders, with_library=with_library))
    key = cache.key_of(files)
    program = cache.load(key)
    if program is None:
        from watchkeeper_detection.checking import check_policies

        loaded = load_set(files)
        program, errors = check_policies(loaded.policies, loaded.exceptions, loaded.lists)
        refuse([*loaded.errors, *errors])
        cache.store(key, program)
    if not program.rules:
        print("watchkeeper: no rules are in force: name a folder of policies with --policies, or leave out --no-library", file=sys.stderr)
        raise typer.Exit(USAGE)
    return program


def refuse(errors: Sequence[PolicyError]) -> None:
    """End the command when there are errors, each on a line."""
    if not errors:
        return
    for error in errors:
        print(shown(str(error)), file=sys.stderr)
    print(f"watchkeeper: {plural(len(errors), 'error')} in the policies; nothing was judged", file=sys.stderr)
    raise typer.Exit(USAGE)


def library_program() -> Program:
    """The shipped library, as it stands."""
    return program_of((), with_library=True)
