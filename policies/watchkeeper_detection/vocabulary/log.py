"""What happened to a log itself: lines that no reader could take, and records that were lost."""

from watchkeeper_detection.fields import Field, Kind

KINDS = (
    Kind("log.rejected", "A line or record that no reader could take; making a line unparsable is an evasion.", ("log",)),
    Kind("log.lost", "Records that a source had and we did not get: a gap, a truncation, a cut-off.", ("log",)),
)

FIELDS = (
    Field("log.source", "string", "Log type, where it is known."),
    Field("log.stream", "string", "File or object that the record came from.", untrusted=True),
    Field("log.reason", "string", "Why the record could not be read, or how it was lost."),
    Field("log.excerpt", "string", "The record's first 200 characters, redacted.", untrusted=True),
    Field("log.count", "int", "How many records were lost; 1 for a rejected one."),
)
