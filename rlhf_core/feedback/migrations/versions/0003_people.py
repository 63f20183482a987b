"""Version 3: who may come in: invitations, the sessions they began, and how both ended."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from rlhf_core.feedback.migrations.steps import link, one_of, refuse_changes, text

revision = "0003"
down_revision = "0002"

APPEND_ONLY = ("invitations", "sessions", "endings")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "invitations",
        sa.Column("id", sa.Integer, primary_key=True),
        *(text(name) for name in ("name", "role", "token_hash")),
        sa.Column("expires_at", sa.Float, nullable=False),
        *(text(name) for name in ("invited_by", "created_at")),
        sa.UniqueConstraint("token_hash"),
        one_of("role", "owner", "reviewer", "labeller"),
    )
    op.create_index("ix_invitations_name", "invitations", ["name"])
    op.create_table(
        "sessions",
        sa.Column("id", sa.Integer, primary_key=True),
        link("invitation_id", "invitations.id"),
        *(text(name) for name in ("token_hash", "address", "created_at")),
        sa.UniqueConstraint("token_hash"),
    )
    op.create_table(
        "endings",
        sa.Column("id", sa.Integer, primary_key=True),
        link("invitation_id", "invitations.id"),
        sa.Column("session_id", sa.Integer, sa.ForeignKey("sessions.id")),
        *(text(name) for name in ("ended_by", "created_at")),
    )
    for table in ("sessions", "endings"):
        op.create_index(f"ix_{table}_invitation_id", table, ["invitation_id"])
    for table in APPEND_ONLY:
        refuse_changes(table, op.get_bind().dialect.name)
