"""Every picture kndb draws, from stored rows. Needs the extra ``plot``; runs no model."""
