"""Reads, checks and stores knowledge neurons that others have published. Needs no model."""
