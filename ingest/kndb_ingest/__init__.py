"""Ingestion: data sets, prompts, the resumable pipeline and the embedded demo."""
