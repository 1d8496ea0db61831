"""What was decided about single requests, as data that the engine reads: which plan a request follows.

Conditions on heads, authorization, rates, budgets and edits belong here too. It knows heads and plans, and
no protocol.
"""
