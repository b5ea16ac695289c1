"""The API server's audit log: the policy that we ship, what rules need of it, whether it comes, how late, and what is missing.

Judging is `watchkeeper_detection`'s business, the endpoint the collector's; nothing here acts on a cluster but the canaries' refused requests.
"""
