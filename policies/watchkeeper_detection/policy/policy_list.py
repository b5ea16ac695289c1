"""PolicyList: a named list of values that rules read as `lists.<name>`."""

from typing import Annotated, Literal

from pydantic import Field

from watchkeeper_detection.policy.model import Keyed, Metadata, Model, Resource
from watchkeeper_detection.policy.shapes import ListName, ListValue, Paragraph

LONGEST_LIST = 4096


class ListMetadata(Metadata):
    name: ListName


class PolicyListSpec(Model):
    description: Paragraph | None = Field(default=None, description="What the values have in common, where they come from and who keeps them.")
    values: Annotated[tuple[ListValue, ...], Field(max_length=LONGEST_LIST), Keyed()] = Field(description="The values, each once. Case counts.")


class PolicyList(Resource):
    """A named list of values (trusted registries, break-glass users, miner domains) that rules read as `lists.<name>`.

    Dashes in the name are underscores there: the list `mining-pools` is `lists.mining_pools`. A shipped list is replaced
    or extended by an object of the same name, never edited in place.
    """

    api_version: Literal["watchkeeper.dev/v1alpha1"]
    kind: Literal["PolicyList"]
    metadata: ListMetadata
    spec: PolicyListSpec = Field(description="The values.")

    @property
    def cel_name(self) -> str:
        """Name in expressions: `mining_pools` of `lists.mining_pools`."""
        return self.name.replace("-", "_")
