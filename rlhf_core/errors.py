"""One tree of errors. Each says what is wrong, where, the value found, and the remedy."""

from __future__ import annotations

from rlhf_core.passwords import without_password


class RlhfError(Exception):
    """An error a user can act on; its text is `where: what (value). remedy`, the remedy on a line of its own after a list.

    Passwords in addresses are left out of the text.
    """

    def __init__(self, what: str, *, where: object = None, value: object = None, remedy: str | None = None) -> None:
        self.what, self.where, self.value, self.remedy = what, where, value, remedy
        text = what if where is None else f"{where}: {what}"
        if value is not None:
            text += f" (found {shorten(value)})"
        if remedy:
            text += ("\n" if "\n" in text else " " if text.endswith("?") else ". ") + remedy
        super().__init__(without_password(text))


class ConfigError(RlhfError, ValueError):
    """A configuration is misspelt, out of range or contradicts itself."""


class DataError(RlhfError, ValueError):
    """A data file or record is not what its format asks for."""


class ModelError(RlhfError, ValueError):
    """A model does not fit what it is used for."""


class ModelNotFoundError(ModelError, FileNotFoundError):
    """A model source names nothing that is here."""


class CheckpointError(RlhfError, RuntimeError):
    """A checkpoint is damaged, or belongs to another model or configuration."""


class RunError(RlhfError, OSError):
    """A run directory is missing, incomplete or busy."""


class VoteError(RlhfError, ValueError):
    """A vote that cannot be accepted: unknown item, used token, unknown verdict."""


class PeopleError(RlhfError, ValueError):
    """An invitation that cannot be made or revoked: no name, unknown role, nobody invited."""


class AccessError(RlhfError, PermissionError):
    """Somebody asks for what their role does not allow."""


class EndpointError(RlhfError, ConnectionError):
    """An endpoint refused a request, cannot be reached, or failed too often."""


class ScorerError(RlhfError, ValueError):
    """A scorer cannot be loaded or returned something that is not one number per text."""


def shorten(value: object, limit: int = 120) -> str:
    """Return `repr(value)` without passwords, cut to `limit` characters."""
    text = without_password(repr(value))
    return text if len(text) <= limit else text[: limit - 1] + "…"
