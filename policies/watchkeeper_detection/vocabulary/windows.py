"""Rows of windows events."""

from watchkeeper_detection.fields import Field, Kind

KINDS: tuple[Kind, ...] = ()

FIELDS: tuple[Field, ...] = ()
