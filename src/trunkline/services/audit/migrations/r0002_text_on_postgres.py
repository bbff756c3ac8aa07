"""The text index on PostgreSQL. SQLite has had its own since the first revision."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE TABLE audit_text (row_id bigint PRIMARY KEY, words tsvector NOT NULL)")
        op.execute("CREATE INDEX audit_text_words ON audit_text USING gin (words)")
