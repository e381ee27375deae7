"""How far results can be trusted: measured on facts that were held back, against controls."""
