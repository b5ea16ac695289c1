"""Sensors of a cluster: their DaemonSets, and what the nodes say of themselves. Who is selected and what is written is decided without I/O."""
