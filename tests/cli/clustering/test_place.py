"""Which cluster is meant: kubectl's own rules."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from watchkeeper_cli.clustering.place import place_of
from watchkeeper_cli.ending import CommandError


def a_kubeconfig(folder, name="config", *, current="one", user=None, **contexts):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    written = [{"name": word, "context": {"cluster": "c", "user": "u"} | fields} for word, fields in (contexts or {"one": {}}).items()]
    path.write_text(yaml.safe_dump({"current-context": current, "contexts": written, "users": [{"name": "u", "user": user or {}}]}))
    return path


def refused(*arguments, **named):
    with pytest.raises(CommandError) as found:
        place_of(*arguments, **named)
    return str(found.value)


def test_a_file_that_is_named_goes_before_all_else(tmp_path):
    named = a_kubeconfig(tmp_path, one={"namespace": "shop"})
    place = place_of(named, None, {"KUBECONFIG": "/nowhere", "KUBERNETES_SERVICE_HOST": "10.0.0.1"}, tmp_path)
    assert (place.kubeconfig, place.name, place.namespace) == (named, "one", "shop")


def test_the_variable_goes_before_the_home_folder(tmp_path):
    a_kubeconfig(tmp_path, ".kube/config", current="home", home={})
    other = a_kubeconfig(tmp_path, "other")
    assert place_of(None, None, {"KUBECONFIG": str(other)}, tmp_path).name == "one"
    assert place_of(None, None, {}, tmp_path).name == "home"


def test_of_what_several_files_name_the_first_counts(tmp_path):
    first = a_kubeconfig(tmp_path, "a", current="", one={"namespace": "first"})
    second = a_kubeconfig(tmp_path, "b", current="one", one={"namespace": "second"}, two={})
    both = os.pathsep.join(map(str, (first, tmp_path / "missing", second)))
    assert place_of(None, None, {"KUBECONFIG": both}, tmp_path).namespace == "first"
    assert place_of(None, "two", {"KUBECONFIG": both}, tmp_path).name == "two"


def test_in_a_pod_it_is_the_pods_account_unless_a_file_is_there(tmp_path):
    assert place_of(None, None, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, tmp_path).kubeconfig is None
    a_kubeconfig(tmp_path, ".kube/config")
    assert place_of(None, None, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, tmp_path).name == "one"


def test_no_cluster_at_all_is_said_with_what_to_do(tmp_path):
    assert refused(None, None, {}, tmp_path) == (
        f"no cluster is named: {tmp_path}/.kube/config: no such file. Name a kubeconfig with --kubeconfig FILE or in KUBECONFIG"
    )


def test_a_context_that_is_not_there_is_said_with_those_that_are(tmp_path):
    assert refused(a_kubeconfig(tmp_path, one={}, two={}), "three", {}, tmp_path).endswith("has no context 'three'; there are: one, two")
    assert "has no current context. Give --context; there are: one" in refused(a_kubeconfig(tmp_path, current=""), None, {}, tmp_path)


@pytest.mark.parametrize("text", ["[", "contexts: 7", "- a", "contexts: [{context: {}}]"])
def test_what_is_no_kubeconfig_is_said_to_be_none(tmp_path, text):
    path = Path(tmp_path / "config")
    path.write_text(text)
    assert f"{path} is no kubeconfig" in refused(path, None, {}, tmp_path)


def test_a_context_that_acts_as_somebody_else_is_refused(tmp_path):
    """With more rights than that, things would be done in another name."""
    assert "acts as somebody else" in refused(a_kubeconfig(tmp_path, user={"as": "viewer"}), None, {}, tmp_path)
