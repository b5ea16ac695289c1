"""Windows event log records of any channel, in one shape whichever shipper delivered them.

Source of the facts: https://learn.microsoft.com/windows/win32/wes/eventschema-systempropertiestype-complextype and
https://learn.microsoft.com/sysinternals/downloads/sysmon
"""

from watchkeeper_detection.fields import Field, Kind

KINDS = (Kind("windows.event", "A record of a Windows event log: Sysmon, Security, PowerShell, Defender, …", ("windows",)),)

FIELDS = (
    Field("windows.EventID", "int", "Number of the event within its provider."),
    Field("windows.Channel", "string", "Log, such as `Security` or `Microsoft-Windows-Sysmon/Operational`."),
    Field("windows.Provider", "string", "Provider, such as `Microsoft-Windows-Security-Auditing`."),
    Field("windows.Computer", "string", "Host that logged it."),
    Field("windows.RecordID", "int", "Number of the record in its log."),
    Field("windows.TimeCreated", "timestamp", "When it was logged."),
    Field("windows.Level", "string", "Level, as the shipper wrote it: a number or a word."),
    Field("windows.UserID", "string", "SID of the account that logged it."),
    Field(
        "windows.EventData",
        "dyn",
        "Data of the event (EventData or UserData), by the names of its manifest; text, as Windows has it.",
        open=True,
        untrusted=True,
    ),
    # derived, so that one rule reads Sysmon's process events and Security 4688 alike, and without minding case
    Field(
        "windows.process.image", "string", "Image of the process that the event is about (Image, NewProcessName, SourceImage), in lower case.", untrusted=True
    ),
    Field("windows.process.name", "string", "File name of `windows.process.image`: all after the last backslash.", untrusted=True),
    Field("windows.process.original_name", "string", "OriginalFileName of the image's resources, in lower case (Sysmon).", untrusted=True),
    Field("windows.process.command_line", "string", "Command line, in lower case.", untrusted=True),
    Field("windows.process.parent_image", "string", "Image of the parent process (ParentImage, ParentProcessName), in lower case.", untrusted=True),
    Field("windows.process.parent_name", "string", "File name of `windows.process.parent_image`.", untrusted=True),
    Field("windows.process.parent_command_line", "string", "Command line of the parent, in lower case (Sysmon).", untrusted=True),
    Field("windows.process.guid", "string", "ProcessGuid (Sysmon), without braces, in lower case."),
    Field("windows.process.parent_guid", "string", "ParentProcessGuid (Sysmon), without braces, in lower case."),
)
