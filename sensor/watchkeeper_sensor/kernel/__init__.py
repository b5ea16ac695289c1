"""The kernel's side of the agent: the one door to libbpf, which programs there are, what their records hold, and the rings they come through."""
