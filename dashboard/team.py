"""RLHF Studio for a team: the app behind invitation links. `rlhf dashboard --team` serves it."""

from __future__ import annotations

from pathlib import Path

from starlette.middleware import Middleware
from streamlit.starlette import App

from dashboard.services.people import open_people
from dashboard.services.settings import read_settings
from dashboard.web.doors import Doors
from dashboard.web.guard import Guard
from dashboard.web.ready import ready
from rlhf_core.errors import ConfigError

settings = read_settings()
if settings.team_url is None:
    raise ConfigError("the address people open is not known", remedy="Start it with `rlhf dashboard --team`")
people = open_people(settings.votes)
app = App(
    Path(__file__).with_name("app.py"),
    routes=Doors(people, settings.team_url).routes(),
    middleware=[Middleware(Guard, people=people, url=settings.team_url)],
    lifespan=ready,
)
