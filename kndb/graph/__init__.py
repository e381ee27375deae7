"""What the stored neurons show together: overlaps, graphs, groups, pictures. Runs no model.

Each part is imported from its module; importing this package imports nothing heavy.
"""
