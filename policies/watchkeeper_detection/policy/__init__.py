"""Policy objects as users write them: RuntimePolicy, PolicyException, PolicyList, and what can be wrong with them.

Here belongs what an object may say, field by field (the CRDs are generated from it). Not what its expressions mean: that
is `checking.py`; nor how text becomes an object: that is `policy_loading.py`.
"""

from __future__ import annotations

from watchkeeper_detection.policy.errors import PolicyError
from watchkeeper_detection.policy.model import API_VERSION, GROUP, ROOT_NAMESPACE, Condition, Metadata, Model, Resource, Status
from watchkeeper_detection.policy.policy_exception import Override, PolicyException, PolicyExceptionSpec, ThresholdOverride
from watchkeeper_detection.policy.policy_list import PolicyList, PolicyListSpec
from watchkeeper_detection.policy.rule import FirstSeen, Rule, Sequence, Step, Suppress, Threshold, Unless
from watchkeeper_detection.policy.runtime_policy import LabelSelector, Respond, RuntimePolicy, RuntimePolicySpec, Scope
from watchkeeper_detection.policy.shapes import nanoseconds

__all__ = [
    "API_VERSION",
    "GROUP",
    "ROOT_NAMESPACE",
    "Condition",
    "FirstSeen",
    "LabelSelector",
    "Metadata",
    "Model",
    "Override",
    "PolicyError",
    "PolicyException",
    "PolicyExceptionSpec",
    "PolicyList",
    "PolicyListSpec",
    "Resource",
    "Respond",
    "Rule",
    "RuntimePolicy",
    "RuntimePolicySpec",
    "Scope",
    "Sequence",
    "Status",
    "Step",
    "Suppress",
    "Threshold",
    "ThresholdOverride",
    "Unless",
    "nanoseconds",
]
