"""Nobody waits for imports: what the first page needs is loaded before the server answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any


@asynccontextmanager
async def ready(app: Any) -> AsyncIterator[None]:
    """Load the pages, and with them what they draw with, once per server."""
    import_module("dashboard.navigation")
    yield
