"""AWS CloudTrail events: management, data, network activity and Insights.

Source of the facts: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
"""

from watchkeeper_detection.fields import Field, Kind

KINDS = (Kind("cloudtrail.event", "An AWS API call, console sign-in or service event.", ("cloudtrail",)),)

FIELDS = (
    Field("cloudtrail.eventVersion", "string", "Version of the record format."),
    Field("cloudtrail.eventTime", "timestamp", "When the request completed."),
    Field("cloudtrail.eventSource", "string", "Service, such as `s3.amazonaws.com`."),
    Field("cloudtrail.eventName", "string", "Action, such as `GetObject`."),
    Field("cloudtrail.awsRegion", "string", "Region that the request was made to."),
    Field("cloudtrail.sourceIPAddress", "string", "Address of the caller, or the name of an AWS service that called on someone's behalf."),
    Field("cloudtrail.userAgent", "string", "User agent that the client claims.", untrusted=True),
    Field("cloudtrail.errorCode", "string", "AWS error code; absent when the call succeeded."),
    Field("cloudtrail.errorMessage", "string", "AWS error message.", untrusted=True),
    Field("cloudtrail.eventID", "string", "AWS's id of the event; repeats when two trails deliver it."),
    Field("cloudtrail.eventType", "string", "AwsApiCall, AwsServiceEvent, AwsConsoleAction, AwsConsoleSignIn, AwsVpceEvent or AwsCloudTrailInsight."),
    Field("cloudtrail.eventCategory", "string", "Management, Data, NetworkActivity or Insight."),
    Field("cloudtrail.readOnly", "bool", "Whether the call only reads; absent in some events."),
    Field("cloudtrail.managementEvent", "bool", "Whether this is a management event."),
    Field("cloudtrail.recipientAccountId", "string", "Account that received the event."),
    Field("cloudtrail.sharedEventID", "string", "Same in both accounts' copies of a cross-account call."),
    Field("cloudtrail.vpcEndpointId", "string", "VPC endpoint that the request came through."),
    Field("cloudtrail.vpcEndpointAccountId", "string", "Account that owns the VPC endpoint."),
    Field("cloudtrail.sessionCredentialFromConsole", "string", "`true` when the credentials came from a console session."),
    Field(
        "cloudtrail.userIdentity.type",
        "string",
        "Root, IAMUser, AssumedRole, FederatedUser, AWSAccount, AWSService, WebIdentityUser, SAMLUser, IdentityCenterUser, …",
    ),
    Field("cloudtrail.userIdentity.principalId", "string", "Unique id of the caller; for a role `AROA…:session`."),
    Field("cloudtrail.userIdentity.arn", "string", "ARN of the caller."),
    Field("cloudtrail.userIdentity.accountId", "string", "Account of the caller."),
    Field("cloudtrail.userIdentity.accessKeyId", "string", "Access key id: AKIA… long-lived, ASIA… temporary."),
    Field("cloudtrail.userIdentity.userName", "string", "Friendly name of the caller."),
    Field("cloudtrail.userIdentity.invokedBy", "string", "AWS service that made the call on someone's behalf."),
    Field("cloudtrail.userIdentity.identityProvider", "string", "Provider of a web identity or SAML user."),
    Field("cloudtrail.userIdentity.sessionContext.sessionIssuer.type", "string", "Role, User or Root: where temporary credentials came from."),
    Field("cloudtrail.userIdentity.sessionContext.sessionIssuer.arn", "string", "ARN of what issued the session: the role."),
    Field("cloudtrail.userIdentity.sessionContext.sessionIssuer.accountId", "string", "Account of the session's issuer."),
    Field("cloudtrail.userIdentity.sessionContext.sessionIssuer.principalId", "string", "Unique id of the session's issuer."),
    Field("cloudtrail.userIdentity.sessionContext.sessionIssuer.userName", "string", "Name of the session's issuer: the role's name."),
    Field("cloudtrail.userIdentity.sessionContext.attributes.mfaAuthenticated", "string", "`true` or `false`: whether the session used MFA."),
    Field("cloudtrail.userIdentity.sessionContext.attributes.creationDate", "timestamp", "When the session began."),
    Field("cloudtrail.userIdentity.sessionContext.ec2RoleDelivery", "string", "`1.0` or `2.0`: the session is an instance's role, by that IMDS version."),
    Field("cloudtrail.userIdentity.sessionContext.sourceIdentity", "string", "Source identity that the role session was given."),
    Field("cloudtrail.userIdentity.sessionContext.webIdFederationData", "dyn", "Provider and attributes of a web identity session.", open=True),
    Field("cloudtrail.userIdentity.inScopeOf", "dyn", "The resource that the session was given to (Lambda function, instance).", open=True),
    Field("cloudtrail.requestParameters", "dyn", "Parameters of the request.", open=True, untrusted=True),
    Field("cloudtrail.responseElements", "dyn", "Elements of the response of calls that change something.", open=True, untrusted=True),
    Field("cloudtrail.additionalEventData", "dyn", "Further data of the event.", open=True),
    Field("cloudtrail.serviceEventDetails", "dyn", "Details of a service event.", open=True),
    Field("cloudtrail.insightDetails", "dyn", "Details of an Insights event.", open=True),
    Field("cloudtrail.resources", "list(dyn)", "Resources that the call touched: objects with ARN, accountId, type.", open=True),
    Field("cloudtrail.tlsDetails", "dyn", "TLS version, cipher and the host name that the client called.", open=True),
)
