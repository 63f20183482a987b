"""One request to an OpenAI-compatible endpoint, repeated while it fails for the moment."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import httpx2
from pydantic import BaseModel, Field, ValidationError

from rlhf_core.config.endpoint import EndpointConfig
from rlhf_core.data.io import parse_json
from rlhf_core.endpoints.cache import Reply
from rlhf_core.endpoints.faults import Fault, cut_off, malformed, refused, timed_out, unreachable
from rlhf_core.endpoints.keys import read_key, without_key
from rlhf_core.endpoints.limits import MOST_PATIENCE, Pace, backoff
from rlhf_core.errors import EndpointError

CONNECT = 10.0
"""Seconds to reach the endpoint."""


@dataclass(frozen=True)
class Request:
    """What is asked; `name` is what errors call it, such as a prompt's id."""

    name: str
    messages: tuple[dict[str, str], ...]


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Usage(BaseModel):
    completion_tokens: int | None = None


class _Answer(BaseModel):
    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage | None = None
    model: str | None = None


class Client:
    """Asks one endpoint. Use it as an asynchronous context; proxies and passwords of the environment are not guessed."""

    def __init__(self, endpoint: EndpointConfig, pace: Pace | None = None) -> None:
        self.endpoint, self._key = endpoint, read_key(endpoint)
        self._pace, self._reached = pace or Pace(endpoint.per_minute), False
        self._http = httpx2.AsyncClient(
            timeout=httpx2.Timeout(endpoint.timeout, connect=min(CONNECT, endpoint.timeout)), trust_env=False
        )

    async def __aenter__(self) -> Client:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    def body(self, request: Request) -> dict[str, Any]:
        """Return the JSON body of a request."""
        return {"model": self.endpoint.model, "messages": list(request.messages), **self.endpoint.parameters}

    async def ask(self, request: Request) -> Reply:
        """Return the answer to a request.

        A failure that may pass (busy, broken, slow, cut off) is tried again after a growing pause, or after the one that
        the endpoint asks for; meanwhile a busy endpoint is asked nothing else.

        Raises:
            EndpointError: it was refused, or failed once more than `retries`.
        """
        for attempt in range(self.endpoint.retries + 1):
            await self._pace.turn()
            found = await self._once(request)
            if isinstance(found, Reply):
                return found
            pause = backoff(attempt) if found.wait is None else found.wait
            if not found.passing or attempt == self.endpoint.retries or pause > MOST_PATIENCE:
                raise self._error(found, request, attempt + 1)
            if found.busy:
                self._pace.hold(pause)
            else:
                await self._pace.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    async def _once(self, request: Request) -> Reply | Fault:
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        try:
            async with asyncio.timeout(self.endpoint.timeout):
                response = await self._http.post(
                    f"{self.endpoint.url}/chat/completions", json=self.body(request), headers=headers
                )
        except (TimeoutError, httpx2.TimeoutException):
            return timed_out(self.endpoint.timeout)
        except httpx2.ConnectError as error:
            return unreachable(str(error), before=self._reached)
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            return cut_off(str(error) or type(error).__name__)
        self._reached = True
        return self._reply(response) if response.status_code == httpx2.codes.OK else refused(response)

    def _reply(self, response: httpx2.Response) -> Reply | Fault:
        try:
            answer = _Answer.model_validate(parse_json(response.content))
        except (ValueError, ValidationError):
            return malformed(response.text)
        message, usage = answer.choices[0].message, answer.usage
        return Reply(
            text=without_key(message.content or message.refusal or "", self._key),
            finish=answer.choices[0].finish_reason,
            tokens=usage.completion_tokens if usage else None,
            model=without_key(answer.model, self._key) if answer.model else None,
        )

    def _error(self, fault: Fault, request: Request, attempts: int) -> EndpointError:
        tried = f", {attempts} times" if attempts > 1 else ""
        said = f": {without_key(fault.said, self._key)}".rstrip(". ") if fault.said else ""
        return EndpointError(
            f"{fault.what}{tried}, at {request.name}{said}", where=self.endpoint.url, remedy=fault.remedy
        )
