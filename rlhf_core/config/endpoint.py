"""What an endpoint is asked with, and how a model on this machine answers: settings of contenders and of automatic judges."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from rlhf_core.config.section import Section
from rlhf_core.visible import check_name

OURS = ("model", "messages", "stream", "n")
"""Fields of a request that are not for `extra` to set."""


class EndpointConfig(Section):
    """An OpenAI-compatible endpoint and what it is asked with; a parameter that is null is not sent."""

    url: str = Field(description="base address, which mostly ends with /v1")
    model: str = Field(min_length=1, description="the model's name at the endpoint")
    temperature: float | None = Field(default=None, ge=0, description="of sampling")
    top_p: float | None = Field(default=None, gt=0, le=1, description="share of the probability that is sampled from")
    max_tokens: int | None = Field(default=None, ge=1, description="longest answer")
    seed: int | None = Field(default=None, description="of sampling, where the endpoint knows one; another asks anew")
    system: str | None = Field(default=None, description="stands before every prompt")
    extra: dict[str, Any] = Field(default={}, description="further fields of the request, as the endpoint calls them")
    key_variable: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="the environment variable that holds the key; null takes OPENAI_API_KEY where it is set",
    )
    concurrency: int = Field(default=4, ge=1, le=256, description="requests at once")
    per_minute: float | None = Field(default=None, gt=0, description="most requests in a minute; null sets no limit")
    timeout: float = Field(default=120, gt=0, description="seconds an answer may take")
    retries: int = Field(default=5, ge=0, le=20, description="of a request that failed for the moment")

    @field_validator("url")
    @classmethod
    def _plain_address(cls, url: str) -> str:
        parts = urlsplit(check_name(url.strip()))
        if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
            raise ValueError("keys, passwords and query strings do not belong in an address; name a key_variable")
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            raise ValueError("expected http:// or https:// and a host, such as http://127.0.0.1:8000/v1")
        return url.strip().rstrip("/").removesuffix("/chat/completions")

    @field_validator("model")
    @classmethod
    def _shown_as_it_is(cls, model: str) -> str:
        return check_name(model)

    @field_validator("extra")
    @classmethod
    def _leaves_ours(cls, extra: dict[str, Any]) -> dict[str, Any]:
        if taken := [name for name in OURS if name in extra]:
            raise ValueError(f"{', '.join(taken)} cannot be set")
        return extra

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of a request, beside the model and the messages."""
        named = {name: getattr(self, name) for name in ("temperature", "top_p", "max_tokens", "seed")} | self.extra
        return {name: value for name, value in named.items() if value is not None}


class SamplingSettings(Section):
    """How a model on this machine answers as a further contender."""

    temperature: float = Field(gt=0, description="of sampling")
    top_p: float = Field(gt=0, le=1, description="share of the probability that is sampled from")
    max_tokens: int = Field(ge=1, description="longest answer")
    max_prompt_tokens: int = Field(ge=8, description="longest prompt, the system prompt included")
    seed: int = Field(ge=0, description="of sampling")
    system: str = Field(description="stands before every prompt; empty for none")
