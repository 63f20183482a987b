"""A server answers once its pages are loaded."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import asyncio, sys
from dashboard.web.ready import ready

async def serve():
    assert "dashboard.navigation" not in sys.modules
    async with ready(None):
        print(*(name in sys.modules for name in ("dashboard.navigation", "dashboard.views.training", "plotly.graph_objects")))

asyncio.run(serve())
"""


def test_the_pages_are_loaded_before_the_server_answers() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"] * 3
    assert "ScriptRunContext" not in done.stderr
