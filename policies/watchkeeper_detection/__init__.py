"""The language both halves speak: events, fields, policies, conditions, engine, detections.

Belongs here: pure functions and values. Does not belong here: files, sockets, clocks, clusters, kernels, terminals.
"""
