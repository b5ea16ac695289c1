"""The process that listens: everything that a stranger's bytes may reach. It observes the cluster and writes nothing to it.

Here belong endpoints, what they check and what they judge. What is found leaves by the bus; nothing here acts.
"""
