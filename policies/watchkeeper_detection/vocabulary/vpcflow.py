"""VPC flow log records, versions 2 to 10, under AWS's field names with underscores.

Source of the facts: https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html
"""

from watchkeeper_detection.fields import Field, Kind

KINDS = (Kind("vpcflow.flow", "Traffic that a network interface saw in one aggregation interval.", ("vpcflow",)),)

FIELDS = (
    Field("vpcflow.version", "int", "Version of the record."),
    Field("vpcflow.account_id", "string", "Account that owns the interface."),
    Field("vpcflow.interface_id", "string", "Network interface."),
    Field("vpcflow.srcaddr", "string", "Source address as the interface saw it."),
    Field("vpcflow.dstaddr", "string", "Destination address as the interface saw it."),
    Field("vpcflow.srcport", "int", "Source port."),
    Field("vpcflow.dstport", "int", "Destination port."),
    Field("vpcflow.protocol", "int", "IANA protocol number: 6 TCP, 17 UDP, 1 ICMP."),
    Field("vpcflow.packets", "int", "Packets in the interval."),
    Field("vpcflow.bytes", "int", "Bytes in the interval."),
    Field("vpcflow.start", "int", "First packet, seconds since the epoch."),
    Field("vpcflow.end", "int", "Last packet, seconds since the epoch."),
    Field("vpcflow.action", "string", "ACCEPT or REJECT."),
    Field("vpcflow.log_status", "string", "OK, NODATA or SKIPDATA."),
    Field("vpcflow.vpc_id", "string", "VPC (version 3)."),
    Field("vpcflow.subnet_id", "string", "Subnet (version 3)."),
    Field("vpcflow.instance_id", "string", "Instance (version 3)."),
    Field("vpcflow.tcp_flags", "int", "Bit-or of the TCP flags seen: 1 FIN, 2 SYN, 4 RST, 18 SYN-ACK (version 3)."),
    Field("vpcflow.type", "string", "IPv4, IPv6 or EFA (version 3)."),
    Field("vpcflow.pkt_srcaddr", "string", "Original source address of the packets (version 3)."),
    Field("vpcflow.pkt_dstaddr", "string", "Original destination address of the packets (version 3)."),
    Field("vpcflow.region", "string", "Region (version 4)."),
    Field("vpcflow.az_id", "string", "Availability zone (version 4)."),
    Field("vpcflow.sublocation_type", "string", "wavelength, outpost or localzone (version 4)."),
    Field("vpcflow.sublocation_id", "string", "Id of the sublocation (version 4)."),
    Field("vpcflow.pkt_src_aws_service", "string", "AWS service of the source address, such as S3 (version 5)."),
    Field("vpcflow.pkt_dst_aws_service", "string", "AWS service of the destination address (version 5)."),
    Field("vpcflow.flow_direction", "string", "ingress or egress (version 5)."),
    Field("vpcflow.traffic_path", "int", "Path of egress traffic: 8 is an internet gateway (version 5)."),
    Field("vpcflow.ecs_cluster_arn", "string", "ECS cluster (version 7)."),
    Field("vpcflow.ecs_cluster_name", "string", "ECS cluster name (version 7)."),
    Field("vpcflow.ecs_container_instance_arn", "string", "ECS container instance (version 7)."),
    Field("vpcflow.ecs_container_instance_id", "string", "ECS container instance id (version 7)."),
    Field("vpcflow.ecs_container_id", "string", "Docker runtime id of the first container (version 7)."),
    Field("vpcflow.ecs_second_container_id", "string", "Docker runtime id of the second container (version 7)."),
    Field("vpcflow.ecs_service_name", "string", "ECS service (version 7)."),
    Field("vpcflow.ecs_task_definition_arn", "string", "ECS task definition (version 7)."),
    Field("vpcflow.ecs_task_arn", "string", "ECS task (version 7)."),
    Field("vpcflow.ecs_task_id", "string", "ECS task id (version 7)."),
    Field("vpcflow.reject_reason", "string", "BPA when VPC block public access rejected it (version 8)."),
    Field("vpcflow.resource_id", "string", "Resource that the interface belongs to (version 9)."),
    Field("vpcflow.encryption_status", "int", "Whether the traffic was encrypted in transit (version 10)."),
)
