"""Degenerate neurons: sets of a fact's neurons that stand in for each other (Chen et al. 2024).

This package searches for them and stores what it finds; groups and pictures of stored sets are made
in ``kndb.graph`` and ``kndb.plotting``.
"""
