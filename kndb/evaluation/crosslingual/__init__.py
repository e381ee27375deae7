"""The tables of the paper on languages, from stored rows."""
