"""Kopf's handlers, one file per kind. They only wake loops, which look at what is so: an event that is missed or comes twice changes nothing.

Only `on.event`: the other handlers would write what they remember into annotations of objects that Git owns, or hold deletions up by finalizers.
"""
