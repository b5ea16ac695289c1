"""`watchkeeper lint`: what is wrong with policies, and what is allowed and still not what was meant."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from watchkeeper_cli.ending import FAILED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from watchkeeper_cli.policy_set import PolicySet
    from watchkeeper_detection.lint import LintCase
    from watchkeeper_detection.policy.errors import PolicyError
    from watchkeeper_detection.policy_loading import Document


def lint(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="[PATHS]", help="Policies: files or folders. The shipped library when not given.", show_default=False)
    ] = None,
    notes: Annotated[bool, typer.Option("--notes", help="Show notes too: what costs, or may surprise.")] = False,
) -> None:
    """Check policies, exceptions and lists, with their cases.

    Errors of writing and of types come first, all at once, with file, line, the field and the nearest right name. Then what
    is allowed and still suspicious: duplicates, fields that no case has, negations that are silent when a field is missing,
    missing cases, unknown ATT&CK ids, exceptions that swallow the rule.

    Exit status: 0 when there is no error, 1 when there is one.

    \b
      watchkeeper lint                    the shipped library
      watchkeeper lint ./our-policies     yours; they may use the library's lists, and except its policies
    """
    from watchkeeper_cli.output.text import plural, shown
    from watchkeeper_cli.policy_set import library, load_set, read_files
    from watchkeeper_detection.checking import check_policies
    from watchkeeper_detection.lint import Library, lint_library

    tested = load_set(read_files(paths or [library()]))
    checked = check_policies([*(shipped_for(tested) if paths else ()), *tested.documents, *tested.salvaged])
    errors = [*tested.errors, *checked.errors]
    for error in errors:
        print(shown(error_line(error)))
    levels = Counter({"error": len(errors)})
    for found in lint_library(Library(tested.documents, checked, cases_of(tested.documents))):
        levels[found.level] += 1
        if notes or found.level != "note":
            print(shown(str(found)))
    hidden = " (--notes shows them)" if levels["note"] and not notes else ""
    print(f"{plural(levels['error'], 'error')}, {plural(levels['warning'], 'warning')}, {plural(levels['note'], 'note')}{hidden}")
    if levels["error"]:
        raise typer.Exit(FAILED)


def error_line(error: PolicyError) -> str:
    """The error with its place in front, as editors and other linters have it, and as the findings have."""
    place = f"{error.file}{f':{error.line}' if error.line is not None else ''}: " if error.file else ""
    return f"{place}error: {replace(error, file='', line=None)}"


def shipped_for(tested: PolicySet) -> list[Document]:
    """What users' files may speak of: the library's lists, and where an exception is for a policy that is not theirs, its policies."""
    from watchkeeper_cli.policy_set import library, load_set, read_files
    from watchkeeper_detection.policy import PolicyException, RuntimePolicy

    theirs = {document.object.name for document in tested.documents if isinstance(document.object, RuntimePolicy)}
    excepted = {document.object.spec.policy for document in tested.documents if isinstance(document.object, PolicyException)}
    return load_set(read_files([library() if excepted - theirs else library() / "lists"])).documents


def cases_of(documents: Iterable[Document]) -> dict[str, list[LintCase]]:
    """Cases of each policy, with the events that the readers make of their records. Ends the command when a case is unreadable."""
    from watchkeeper_cli.cases import cases_beside, events_of
    from watchkeeper_detection.lint import LintCase
    from watchkeeper_detection.policy import RuntimePolicy

    found: dict[str, list[LintCase]] = {}
    for document in documents:
        if isinstance(document.object, RuntimePolicy):
            found[document.object.name] = [
                LintCase(case.rule, expectation == "fires", tuple(events_of(case.events, case.source, "case")))
                for expectation, case in cases_beside(Path(document.place.file))
            ]
    return found
