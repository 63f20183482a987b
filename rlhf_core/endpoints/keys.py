"""Keys of endpoints: read from the environment when a request is made, taken out of whatever an endpoint says, kept nowhere."""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from rlhf_core.config.endpoint import EndpointConfig
from rlhf_core.errors import EndpointError

DEFAULT_VARIABLE = "OPENAI_API_KEY"
LOOPBACK = ("localhost", "127.0.0.1", "::1")
SECRET = 8
"""Keys shorter than this are stand-ins such as EMPTY, which answers may hold as well."""


def read_key(endpoint: EndpointConfig, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the key for an endpoint, None where it takes none.

    `OPENAI_API_KEY` is sent without being asked for, but never unencrypted to another machine; a variable that is named
    is sent wherever the endpoint is.

    Raises:
        EndpointError: the named variable is not set, or what it holds can be no key.
    """
    variable = endpoint.key_variable or DEFAULT_VARIABLE
    key = environment.get(variable, "").strip()
    if not key:
        if endpoint.key_variable:
            raise EndpointError(
                f"the environment variable {variable} is not set", where=endpoint.url, remedy=f"export {variable}=…"
            )
        return None
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise EndpointError(f"what {variable} holds is no key: it has spaces or signs that keys never have")
    parts = urlsplit(endpoint.url)
    private = parts.scheme == "https" or parts.hostname in LOOPBACK
    return key if private or endpoint.key_variable else None


def without_key(text: str, key: str | None) -> str:
    """Return the text with every copy of the key replaced: endpoints may say back what they were sent."""
    return text.replace(key, "[key]") if key and len(key) >= SECRET else text
