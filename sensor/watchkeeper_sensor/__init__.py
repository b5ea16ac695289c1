"""The node agent: programs in the kernel, their records, and what follows from them on this host."""
