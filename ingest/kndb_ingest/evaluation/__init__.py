"""Calibration and evaluation: what is chosen on some facts, and measured on others."""
