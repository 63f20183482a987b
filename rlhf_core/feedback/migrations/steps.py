"""What the steps of `versions/` share: columns, constraints, and tables that refuse changes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op


def refuse_changes(table: str, dialect: str) -> None:
    """Let the database itself refuse to change or delete what was written."""
    for change in ("UPDATE", "DELETE"):
        name = f"{table}_refuse_{change.lower()}"
        if dialect == "sqlite":
            body = f"BEGIN SELECT RAISE(ABORT, '{table} are append-only'); END"
            op.execute(f"CREATE TRIGGER {name} BEFORE {change} ON {table} {body}")
        else:
            body = f"BEGIN RAISE EXCEPTION '{table} are append-only'; END"
            op.execute(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$")
            op.execute(f"CREATE TRIGGER {name} BEFORE {change} ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {name}()")


def text(name: str) -> sa.Column[str]:
    """Return a column of text that is always there."""
    return sa.Column(name, sa.String, nullable=False)


def link(name: str, to: str, *, primary_key: bool = False) -> sa.Column[int]:
    """Return a column that points to another table."""
    return sa.Column(name, sa.Integer, sa.ForeignKey(to), nullable=False, primary_key=primary_key)


def one_of(column: str, *values: str) -> sa.CheckConstraint:
    """Return the constraint that a column holds one of some words."""
    listed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=f"{column}_is_known")
