"""Addresses without their passwords: what is typed may hold one, what is written or shown never does."""

from __future__ import annotations

import re

IN_THE_ENVIRONMENT = "Passwords are kept nowhere: set PGPASSWORD, or write it into ~/.pgpass"

_DATABASE = re.compile(r"(\bpostgres[\w+]*://[^:@/\s]*):[^@]*@(?:\S*@)?", re.IGNORECASE)
"""As SQLAlchemy reads them: a password goes on to the first @, whatever is in it; one that holds an @ to the word's last."""
_WEB = re.compile(r"(\b[a-z][\w+.-]*://[^:@/?#\s]*):[^@/?#\s]*@", re.IGNORECASE)
_SETTING = re.compile(r"([?&])(?:ssl)?password=[^&\s]*(&?)", re.IGNORECASE)


def without_password(text: str) -> str:
    """Return a text with the passwords taken out of the addresses in it: `postgresql://user@host/name`.

    What is left of a database's address can be used again: the password is then looked for in the environment.
    """
    if "://" not in text:
        return text
    text = _WEB.sub(r"\1@", _DATABASE.sub(r"\1@", text))
    while (shorter := _SETTING.sub(lambda found: found[1] if found[2] else "", text)) != text:
        text = shorter
    return text
