"""Every picture kndb draws. Needs the extra ``plot``; reads stored rows and runs no model."""
