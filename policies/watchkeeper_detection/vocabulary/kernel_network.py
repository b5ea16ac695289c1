"""Rows of `connection` and `dns`."""

from watchkeeper_detection.fields import Field

TRANSLATED = "other programs translate it on the same hook, before or after ours, and none says what it did"

FIELDS = (
    Field(
        "connection.family", "string", "`inet`, `inet6`, `unix`, `packet`, `vsock`, `netlink`, `alg` or `other`; IPv4 mapped into IPv6 is `inet`.", exact=True
    ),
    Field("connection.protocol", "string", "`tcp`, `udp`, `icmp`, `sctp`, `raw`, `unix` or `other`.", exact=True),
    Field("connection.direction", "string", "`outbound` or `inbound`.", exact=True),
    Field("connection.local_ip", "string", "Own address; mapped IPv4 in its IPv4 spelling.", exact=True),
    Field("connection.local_port", "int", "Own port; absent in a connect for which the kernel had not chosen one yet.", exact=True),
    Field("connection.remote_ip", "string", "Peer's address; mapped IPv4 in its IPv4 spelling.", exact=True),
    Field("connection.remote_port", "int", "Peer's port.", exact=True),
    Field(
        "connection.remote_name",
        "string",
        "Name by which the process, or else another one of its container or host, last resolved the peer's address; absent when none did.",
        late=True,
        untrusted=True,
    ),
    Field(
        "connection.translated_ip",
        "string",
        "Address behind a service's virtual one, where it was translated in the kernel's socket layer.",
        exact=True,
        untold=TRANSLATED,
    ),
    Field("connection.translated_port", "int", "Port behind a service's virtual one.", exact=True, untold=TRANSLATED),
    Field(
        "connection.unix_path",
        "string",
        "Path of a unix socket where its listener bound it, from the kernel's own directory entries.",
        exact=True,
        untrusted=True,
    ),
    Field("connection.unix_abstract", "string", "Name of an abstract unix socket, without its leading zero byte.", exact=True, untrusted=True),
    Field(
        "connection.runtime_socket",
        "bool",
        "Whether the unix socket belongs to a container runtime: by the program that listens or the name that it was bound by, whatever name it was reached by.",
    ),
    Field("connection.socket_type", "string", "`stream`, `datagram`, `raw`, `seqpacket`.", exact=True),
    Field("connection.raw_protocol", "int", "Protocol number of a raw or packet socket.", exact=True),
    Field("connection.netlink_family", "string", "Netlink family, such as `route`, `audit`, `connector`.", exact=True),
    Field("connection.bytes_sent", "int", "Bytes that the peer acknowledged, known at close.", exact=True),
    Field("connection.bytes_received", "int", "Bytes that came in, known at close.", exact=True),
    Field("connection.duration", "duration", "How long the connection lasted, known at close."),
    Field(
        "connection.application",
        "string",
        "Protocol that the first bytes sent show: `tls`, `http`, `ssh`, `stratum`, `socks`, `other`; absent until data was seen.",
        untrusted=True,
        untold="no program of the sensor reads what is sent",
    ),
    Field("connection.fast_open", "bool", "Whether data went out with the first packet (MSG_FASTOPEN), without a connect call.", exact=True),
    Field("connection.cookie", "int", "The kernel's cookie of the socket: joins connect, send and close of one connection."),
    Field("dns.question", "string", "Name asked for, lower case, without the final dot.", untrusted=True),
    Field("dns.type", "string", "Type asked for, such as `A`, `AAAA`, `TXT`.", untrusted=True),
    Field("dns.transport", "string", "`udp` or `tcp`."),
    Field("dns.server_ip", "string", "Address of the name server.", exact=True),
    Field("dns.server_port", "int", "Port of the name server.", exact=True),
    Field("dns.response_code", "string", "Response code, such as `NOERROR`, `NXDOMAIN`; absent in a question.", untrusted=True),
    Field("dns.addresses", "list(string)", "Addresses in the answer.", untrusted=True),
    Field("dns.aliases", "list(string)", "Canonical names in the answer, in order.", untrusted=True),
    Field("dns.texts", "list(string)", "Texts in the answer (TXT).", untrusted=True),
    Field("dns.time_to_live", "int", "Smallest time to live in the answer, seconds.", untrusted=True),
    Field("dns.question_length", "int", "Length of the name asked for, as it is spelled; long names carry data out."),
    Field("dns.truncated", "bool", "Whether the message was cut, by the server or by the sensor."),
)
