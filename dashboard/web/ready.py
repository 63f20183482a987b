"""Nobody waits for imports: what the first page needs is loaded before the server answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

PAGES = "dashboard.navigation"


@asynccontextmanager
async def ready(app: Any) -> AsyncIterator[None]:
    """Load the pages, and what they draw with, once per server."""
    for name in (PAGES, "plotly.graph_objects", "streamlit.elements.plotly_chart", "pandas.io.formats.style"):
        import_module(name)
    yield
