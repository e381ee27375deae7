"""Degenerate neurons: sets of a fact's neurons that stand in for each other (Chen et al. 2024)."""
