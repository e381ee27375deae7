"""Edits of a model's knowledge: run-time scaling, weight changes, what they do. No database."""
