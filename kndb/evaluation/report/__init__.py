"""One page with every evaluation: its tables, charts and files."""
