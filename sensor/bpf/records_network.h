/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 * Records of connections, sockets and what name servers are asked.
 */
#pragma once

#include "records.h"

#define DNS_MESSAGE_BYTES 1024 /* of a message that go into the record */
#define DNS_SHORT_BYTES   256

enum connection_flag {
	CONNECTION_INBOUND = 1 << 0,
	CONNECTION_OUTBOUND = 1 << 1,
	CONNECTION_FAST_OPEN = 1 << 2,
	CONNECTION_COUNTED = 1 << 3, /* the byte counts hold */
};

struct connection_record {
	struct record record;
	struct endpoints ends;
	__u64 cookie; /* 0: the kernel has not given one yet */
	__u64 bytes_sent;
	__u64 bytes_received;
	__u64 opened; /* nanoseconds since boot, 0 where the sensor did not see it */
	__u32 flags;  /* enum connection_flag */
	struct text unix_path;
	struct text unix_abstract;
	struct text unix_bound; /* the path under which the listener bound the socket */
	struct text listener;   /* name of the file that the listener runs */
	__u32 padding;
};

struct dns_record {
	struct record record;
	struct endpoints ends;
	__u64 cookie;
	__u32 length; /* of the message as it was sent */
	struct text message;
};
