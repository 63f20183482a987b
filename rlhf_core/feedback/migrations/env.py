"""What Alembic runs around the steps: it is given the connection, whose transaction is begun and ended by others."""

from __future__ import annotations

from alembic import context

context.configure(**context.config.attributes)
context.run_migrations()
