/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 * What belongs to the sensor: filled by the agent after loading (watchkeeper_sensor/tampering.py).
 */
#pragma once

enum sensor_object_kind {
	SENSOR_PROGRAM = 1,
	SENSOR_MAP = 2,
	SENSOR_CGROUP = 3, /* the sensor's own one, and all above it */
};

struct sensor_object {
	u64 id;
	u64 kind; /* enum sensor_object_kind */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct sensor_object);
	__type(value, u32);
} sensor_objects SEC(".maps") __weak;

static __always_inline bool tamper_is_sensors(u64 kind, u64 id)
{
	struct sensor_object key = {.id = id, .kind = kind};
	return bpf_map_lookup_elem(&sensor_objects, &key) != 0;
}
