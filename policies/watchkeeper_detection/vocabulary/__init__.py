"""Rows of the vocabulary, one file per family of event kinds. Rows only: what they mean to the code is in `fields.py`."""

from watchkeeper_detection.vocabulary import audit, azure, cloudtrail, common, gcp, kernel, log, rbac, vpcflow, windows

_FAMILIES = (audit, cloudtrail, vpcflow, azure, gcp, windows, kernel, rbac, log)

KINDS = tuple(kind for family in _FAMILIES for kind in family.KINDS)
FIELDS = (*common.FIELDS, *(field for family in _FAMILIES for field in family.FIELDS))
COMMON_ROOTS = common.ROOTS
