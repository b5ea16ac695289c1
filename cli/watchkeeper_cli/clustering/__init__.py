"""What people ask of a cluster: read from the API server alone, so that it is answered also while Watchkeeper's own processes are down.

`place` and `door` are the only ones that do I/O; what they bring becomes rows and lines in pure functions.
"""
