"""RLHF Studio in the browser: page configuration and navigation."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboard.components.theme import follow_theme
from dashboard.navigation import choose_page

st.set_page_config(page_title="RLHF Studio", page_icon=str(Path(__file__).with_name("icon.svg")), layout="wide")
choose_page().run()
follow_theme()
