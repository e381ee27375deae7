"""Overlaps between languages, graphs, degenerate groups and measures, from stored rows.

It runs no model and draws nothing. Import each part from its own module: the package itself
imports nothing heavy.
"""
