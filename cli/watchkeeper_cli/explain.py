"""`watchkeeper explain`: what a policy matches, what it costs, where it is blind, and why it did or did not fire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from watchkeeper_cli.cluster_options import ContextOption, KubeconfigOption, NamespaceOption, called_by_kubectl, require_client
from watchkeeper_cli.ending import UNREADABLE, CommandError

if TYPE_CHECKING:
    from watchkeeper_detection.event import Event
    from watchkeeper_detection.program import Program, Rule

EXCEPTION_DAYS = 90
WHO = {  # by the first word of the kind: who an exception names, to be filled in
    "audit": 'identity.id == "system:serviceaccount:NAMESPACE:NAME"',
    "cloudtrail": 'identity.id == "arn:aws:iam::ACCOUNT:role/NAME"',
    "azure": 'identity.id == "WHO"',
    "gcp": 'identity.id == "NAME@PROJECT.iam.gserviceaccount.com"',
    "vpcflow": 'origin.ip == "ADDRESS"',
    "log": 'log.stream == "FILE"',
}


def policies_beginning(incomplete: str) -> list[str]:
    """For shell completion: shipped policies, whose files have their names."""
    from watchkeeper_cli.policy_set import library

    return sorted(path.stem for path in library().glob("*/*.yaml") if path.stem.startswith(incomplete) and path.parent.name != "lists")


def explain(
    policy: Annotated[str, typer.Argument(metavar="POLICY[/RULE]", help="Name of a policy, or of one of its rules.", autocompletion=policies_beginning)],
    event: Annotated[str | None, typer.Option(help="Judge this record: a file and its line (or record) number.", metavar="FILE:LINE")] = None,
    exception: Annotated[bool, typer.Option("--except", help="Print a PolicyException for it, ready to be completed and applied.")] = False,
    policies: Annotated[list[Path] | None, typer.Option(help="Policies beside the library; may be given again.", metavar="DIR")] = None,
    source: Annotated[str | None, typer.Option(help="Log type of the record, recognised when not given.", metavar="S")] = None,
    in_cluster: Annotated[bool, typer.Option("--cluster", help="The policy as it is in a cluster. Called as kubectl watchkeeper, it is.")] = False,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Explain a policy: conditions, index keys, where its state lives, cost, blind spots.

    With --event, each part of the condition is shown with its value for that record, so that you see why the rule fired or
    stayed quiet. With --except, a PolicyException is printed; with both, it is for the rules that the record meets, and names
    what the record has.

    Of a policy in a cluster it is said first whether it was accepted, where it is in force and why not elsewhere, and what exceptions held back;
    what follows is read from its text there, with its exceptions and lists.

    \b
      watchkeeper explain k8s-pod-exec
      kubectl watchkeeper explain k8s-pod-exec -n shop
      watchkeeper explain k8s-pod-exec/exec-in-pod --event audit.log:17
      watchkeeper explain k8s-pod-exec --event audit.log:17 --except > exceptions/debugging.yaml
    """
    from watchkeeper_cli.explaining import advice_lines, rule_lines, verdict_lines
    from watchkeeper_cli.judging import require_source
    from watchkeeper_cli.policy_set import program_of

    if source is not None:
        require_source(source)
    if in_cluster or called_by_kubectl() or kubeconfig or context or namespace:
        program = program_of_cluster(kubeconfig, context, namespace, policy, quiet=exception)
        if not program.rules:
            return
    else:
        program = program_of(policies or [], with_library=True)
    rules = rules_named(program, policy)
    events = events_at(event, source) if event else []
    if exception:
        print(policy_exception([rule for rule in rules if is_met(rule, program, events)] or rules, events), end="")
        return
    if events:
        for rule in rules:
            for one in events:
                print("\n".join(verdict_lines(rule, program, one)))
        return
    for rule in rules:
        print("\n".join(rule_lines(rule, program)), end="\n\n")
    for advice in dict.fromkeys("\n".join(advice_lines(rule)) for rule in rules):
        print(advice)


def program_of_cluster(kubeconfig: Path | None, context: str | None, namespace: str | None, policy: str, *, quiet: bool) -> Program:
    """Of the policies of that name; how they do is printed, unless something is to be read from the output."""
    require_client()
    from watchkeeper_cli.clustering.explaining_policy import explained
    from watchkeeper_cli.output.text import shown

    found = explained(kubeconfig, context, namespace, policy.partition("/")[0])
    for line in () if quiet else (*found.lines, *(f"wrong      {shown(error)}" for error in found.wrong)):
        print(line)
    return found.program


def rules_named(program: Program, name: str) -> list[Rule]:
    from watchkeeper_detection.fields import nearest

    rules = [rule for rule in program.rules if name in (rule.policy, rule.name)]
    if not rules:
        names = {rule.policy for rule in program.rules} | {rule.name for rule in program.rules}
        like = nearest(name, names)
        raise typer.BadParameter(f"there is no policy or rule {name!r} in force{f'; did you mean {like}?' if like else ''}", param_hint="POLICY[/RULE]")
    return rules


def events_at(place: str, source: str | None) -> list[Event]:
    """The events of the record at FILE:LINE. Ends the command when there is none."""
    from watchkeeper_detection.logs.stream import StreamReader
    from watchkeeper_operator.transports import files

    path, colon, line = place.rpartition(":")
    if not colon or not line.isdecimal():
        raise typer.BadParameter("write a file and a line number, such as audit.log:17", param_hint="--event")
    wanted = int(line)
    reader = StreamReader(path, source=source, reads=None)
    found: list[Event] = []
    try:
        for chunk in files.chunks(path):
            found += [event for event in reader.feed(chunk.data) if event.number == wanted]
            if found:
                return found
    except files.FileUnreadableError as error:
        raise CommandError(f"can't read {path}: {error}", UNREADABLE) from None
    found += [event for event in reader.close() if event.number == wanted]
    if not found:
        raise CommandError(f"{path} has no event at {wanted}", UNREADABLE)
    return found


def is_met(rule: Rule, program: Program, events: list[Event]) -> bool:
    """Whether a condition of the rule holds for one of the events, or whether there are none to ask about."""
    from watchkeeper_cli.explaining import conditions
    from watchkeeper_detection.cel.compile import compile_condition

    return not events or any(
        event.kind in kinds and (condition is None or compile_condition(condition, program.lists)(event))
        for _, kinds, condition in conditions(rule)
        for event in events
    )


def policy_exception(rules: list[Rule], events: list[Event]) -> str:
    """A PolicyException in YAML; its `when` names the event's identity and target where an event is given."""
    import json

    policy = rules[0].policy
    parts = [WHO.get(rules[0].kinds[0].partition(".")[0], 'identity.id == "WHO"')]
    if events:
        event = events[0]
        values = {"identity.id": event.identity.id, "action.name": event.action.name, "target.namespace": event.target.namespace}
        if not event.identity.id:
            values |= {"origin.ip": event.origin.ip, "target.id": event.target.id}
        parts = [f"{path} == {json.dumps(value)}" for path, value in values.items() if value] or parts
    until = (datetime.now(UTC) + timedelta(days=EXCEPTION_DAYS)).strftime("%Y-%m-%dT00:00:00Z")
    names = ", ".join(rule.rule for rule in rules)
    return f"""apiVersion: watchkeeper.dev/v1alpha1
kind: PolicyException
metadata: {{name: {policy}-accepted, namespace: {rules[0].namespace}}}
spec:
  policy: {policy}
  rules: [{names}]
  when: >-
    {" && ".join(parts)}
  reason: Say why this is acceptable; it is shown with everything that is held back.
  owner: Say who answers for it.
  until: "{until}"
"""
