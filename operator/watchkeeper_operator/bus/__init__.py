"""From where things are found to where they are understood: kept on disk until the other end says that it has them.

Here belong the collector's queue and the leader's fetching from it. What a message means is not read here.
"""
