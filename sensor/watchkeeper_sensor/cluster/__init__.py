"""The sensor as one node of a cluster: who it is to the collector, what it is told, and what it says.

It asks no API server and listens nowhere. What is the collector's own belongs to the operator's package; both speak `watchkeeper_detection.node_wire`.
"""
