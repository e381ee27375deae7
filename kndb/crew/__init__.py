"""Runs work on a model: in this process, in several, or in the workers of a Ray cluster.

``engines`` is the entry point, and ``work`` the contract of what can be run. Nothing here knows
facts, attributions or databases: workers get plain data, and the process that started them stores
what they find.
"""
