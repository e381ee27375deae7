"""Prompts whose answer the model does not know: the view ``runs`` counts them."""

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Change no table: every migration recreates the views."""
