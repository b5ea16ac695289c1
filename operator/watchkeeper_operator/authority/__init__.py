"""Who is who between our processes: the certificate authority, the roles that certificates give, TLS on both sides.

Here belongs what makes, reads and rotates certificates. Who may call what stands with each route of the collector.
"""
