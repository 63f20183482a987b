"""RLHF Studio for one person at this machine. `rlhf dashboard` serves it."""

from __future__ import annotations

from pathlib import Path

from streamlit.starlette import App

from dashboard.web.ready import ready

app = App(Path(__file__).with_name("app.py"), lifespan=ready)
