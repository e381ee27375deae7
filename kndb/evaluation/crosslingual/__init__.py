"""The paper's tables about languages, made from stored rows."""
