"""CEL: a condition's text → parsed tree → checked tree (data) → Python function.

Belongs here: the language of conditions and what is derived from one condition alone (necessary atoms, kernel filter).
Does not belong here: policies, rules, engine state.
"""
