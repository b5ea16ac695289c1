"""Detections that belong together, as incidents: joined, kept, shown as objects, told to people.

What is decided here is decided by pure functions (`shares.py`, `summary.py`, `joining.py`, `explaining.py`, `objects.py`); the rest gathers and applies.
"""
