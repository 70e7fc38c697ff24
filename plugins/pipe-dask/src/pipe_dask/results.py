"""Fetching results: every question to a cluster costs more than the call of a small function.

A small result comes with the news that its call has ended. Of larger ones, those that are there are fetched together.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from distributed import Future

from pipe_dask.worker import SENT

_SLOW: Final = 0.02
"""Seconds after which the next question does not wait for the answer to the last one: a worker may be in the middle of
a call that lets nothing else run in its process, and must not hold up the results of the others."""


class Results:
    """The results of calls, in the event loop of a client.

    Args:
        client: A `distributed.Client`, whose methods give awaitables there; its annotations do not say so.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._arrived: dict[int, bytes] = {}
        self._waiting: list[tuple[Future[bytes], asyncio.Future[bytes | None]]] = []
        self._fetching: asyncio.Task[None] | None = None
        self._client.subscribe_topic(self.topic, self._on_event)

    @property
    def topic(self) -> str:
        """Where workers publish small results: among what the scheduler notes about the client, and forgets with it."""
        return str(self._client.id)

    def close(self) -> None:
        """Let nobody publish here any more."""
        self._client.unsubscribe_topic(self.topic)

    def _on_event(self, event: tuple[float, Any]) -> None:
        if isinstance(event[1], list | tuple):  # else a note of the scheduler's own
            number, answer = event[1]
            self._arrived[number] = answer

    async def of(self, number: int, future: Future[bytes]) -> bytes:
        """The result of the call *number*, which *future* stands for, when it has one.

        Raises:
            Exception: Why it has none, as Dask has it.
        """
        found: bytes | None = None
        while found is None:  # else its worker has died with it, and it runs again
            error = await _error(future)
            if number in self._arrived:
                return self._arrived.pop(number)
            if error is not None:
                raise error
            if future.status == "cancelled":
                raise asyncio.CancelledError
            found = await self._fetched(future)
        if found == SENT:
            raise ConnectionError("the result of a call was lost on its way")
        return found

    def _fetched(self, future: Future[bytes]) -> asyncio.Future[bytes | None]:
        answer: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((future, answer))
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._fetch())
        return answer

    async def _fetch(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            asked = asyncio.create_task(self._gather(batch))
            await asyncio.wait({asked}, timeout=_SLOW)
        self._fetching = None

    async def _gather(self, batch: list[tuple[Future[bytes], asyncio.Future[bytes | None]]]) -> None:
        wanted = {i: future for i, (future, _) in enumerate(batch)}
        try:
            found = await self._client.gather(wanted, errors="skip")
        except Exception as error:
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(error)
            return
        for i, (_, answer) in enumerate(batch):
            if not answer.done():
                answer.set_result(found.get(i))


async def _error(future: Any) -> BaseException | None:
    error: BaseException | None = await future.exception()
    return error
