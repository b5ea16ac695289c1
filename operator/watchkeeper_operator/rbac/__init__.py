"""The watch of rights: who may do what in the Kubernetes API, and what changed, whether or not there is an audit log.

Belongs here: the objects that decide about rights and requests, what rules amount to, who can act as whom, and the events that tell it. All of it is
pure but `watching.py`, which listens to the API server, and `memory.py`, which keeps what was told. Does not belong here: what is wrong with a right
(a policy says that), and what to do about it.
"""
