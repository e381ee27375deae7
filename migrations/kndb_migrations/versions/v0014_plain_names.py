"""The plain forms of subjects and answers, in which names are looked up."""

from alembic import op

revision = "0014"
down_revision = "0013"

_PLAIN = "trim(regexp_replace(lower(strip_accents({})), '[\\p{{P}}\\p{{S}}\\s]+', ' ', 'g'))"


def upgrade() -> None:
    for name in ("subject", "answer"):
        op.execute(f"ALTER TABLE prompt ADD COLUMN plain_{name} VARCHAR")
        op.execute(f"UPDATE prompt SET plain_{name} = {_PLAIN.format(name)}")
        op.execute(f"ALTER TABLE prompt ALTER COLUMN plain_{name} SET NOT NULL")
