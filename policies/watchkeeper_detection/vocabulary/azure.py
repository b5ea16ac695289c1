"""Azure Activity Log events, under the names of the diagnostic-settings export whatever shape delivered them.

Azure writes one name in several cases (`operationName` in capitals, `Level` beside `level`) and the management SDK and
Log Analytics name the same things otherwise: the reader brings all of them to these names. Values keep the case that they came
in, so rules compare them with `ieq`.
Source of the facts: https://learn.microsoft.com/azure/azure-monitor/platform/activity-log-schema
"""

from watchkeeper_detection.fields import Field, Kind

KINDS = (Kind("azure.activity", "A call to the Azure control plane, or an event of an Azure service.", ("azure",)),)

FIELDS = (
    Field("azure.time", "timestamp", "When it happened."),
    Field("azure.operationName", "string", "Operation, such as `Microsoft.Compute/virtualMachines/write`, in any case: compare with `ieq`."),
    Field("azure.operationVersion", "string", "API version of the operation."),
    Field("azure.operationId", "string", "Same for all events of one operation."),
    Field(
        "azure.category",
        "string",
        "Administrative, Security, ServiceHealth, Alert, Policy, Recommendation, ResourceHealth, Autoscale; of a resource log its own.",
    ),
    Field(
        "azure.resultType",
        "string",
        "Start, Success, Succeeded, Failure, Failed, Accept, …; in words that differ by shape: `outcome.status` is the same in all.",
    ),
    Field("azure.resultSignature", "string", "Sub-status of the result, such as `Succeeded.OK` or `Forbidden`."),
    Field("azure.resultDescription", "string", "Text of the result.", untrusted=True),
    Field("azure.durationMs", "int", "Duration of the operation in milliseconds."),
    Field("azure.callerIpAddress", "string", "Address of the caller."),
    Field("azure.caller", "string", "User principal name, or the object or application id of a service principal."),
    Field("azure.correlationId", "string", "Id of the request; shared by its events, and by the steps of one deployment."),
    Field("azure.eventId", "string", "Azure's id of the event, in the shapes that have one."),
    Field("azure.level", "string", "Critical, Error, Warning, Informational (or Information), Verbose."),
    Field("azure.location", "string", "Region of the resource."),
    Field("azure.tenantId", "string", "Tenant."),
    Field("azure.subscriptionId", "string", "Subscription; taken from the resource's id where the shape does not give it."),
    Field("azure.resourceId", "string", "Id of the resource, in any case.", untrusted=True),
    Field("azure.resourceGroup", "string", "Resource group; taken from the resource's id where the shape does not give it.", untrusted=True),
    Field("azure.resourceProvider", "string", "Resource provider, such as `Microsoft.Compute`."),
    Field("azure.authorization", "dyn", "The check that let the caller in: action, scope, evidence (role assignment).", open=True),
    Field("azure.claims", "dyn", "Claims of the caller's token, by their (long) names.", open=True),
    Field("azure.properties", "dyn", "Properties of the event, keys as Azure wrote them.", open=True, untrusted=True),
    Field(
        "azure.requestBody",
        "dyn",
        "Body of the request (`properties.requestbody`), decoded where it is JSON in text; every key in lower case, for Azure takes them in any.",
        open=True,
        untrusted=True,
    ),
)
