"""Many requests to one endpoint: several at once, each only if nobody asked it before, in the order they were given."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence

from rlhf_core.config.endpoint import EndpointConfig
from rlhf_core.endpoints.cache import Reply, ReplyCache, request_key
from rlhf_core.endpoints.client import Client, Request
from rlhf_core.endpoints.limits import Pace
from rlhf_core.errors import RlhfError

Report = Callable[[int, int, str], None]


def ask_all(
    endpoint: EndpointConfig, requests: Sequence[Request], report: Report, pace: Pace | None = None
) -> list[Reply]:
    """Return the replies to `requests`, in their order; `report(done, total, message)` is told how far it is.

    Every reply is kept as soon as it is there (`cache.ReplyCache`): after an interruption or an error the same call goes
    on. The first error ends it.

    Raises:
        EndpointError: a request was refused, or failed too often.
    """
    cache = ReplyCache(endpoint.url, endpoint.model)
    return asyncio.run(_ask_all(Client(endpoint, pace), cache, requests, report))


async def _ask_all(client: Client, cache: ReplyCache, requests: Sequence[Request], report: Report) -> list[Reply]:
    keys = [request_key(client.endpoint.url, client.body(request)) for request in requests]
    missing = {key: request for key, request in zip(keys, requests, strict=True) if cache.find(key) is None}
    known = len(set(keys)) - len(missing)
    total, done = len(set(keys)), known

    def told() -> None:
        nonlocal done
        done += 1
        report(done, total, before)

    before = f"{known} were known before" if known else "answered"
    report(known, total, before)
    todo = iter(missing.items())
    try:
        async with client, asyncio.TaskGroup() as group:
            for _ in range(min(client.endpoint.concurrency, len(missing))):
                group.create_task(_work(client, cache, todo, told))
    except BaseExceptionGroup as errors:
        found = errors.split(RlhfError)[0]
        raise found.exceptions[0] if found else errors from None
    return [reply for key in keys if (reply := cache.find(key)) is not None]


async def _work(
    client: Client, cache: ReplyCache, todo: Iterator[tuple[str, Request]], told: Callable[[], None]
) -> None:
    for key, request in todo:
        cache.keep(key, await client.ask(request))
        told()
