"""An event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import threading

logger = logging.getLogger("pipe_asyncio")


class OwnLoop:
    """A loop that runs until `stop`, in a daemon thread that cleans up behind it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._told = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._serve, name="pipe-asyncio-loop", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # the system gives no more threads
            self.loop.close()
            raise

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        while True:
            try:
                self.loop.run_forever()
                break
            except BaseException:  # of a task that user code started: its awaiter has it too, and the loop is sound
                logger.debug("a task tried to end the event loop", exc_info=True)
        try:
            self.loop.run_until_complete(self._clean_up())
        finally:
            self.loop.close()

    async def _clean_up(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self.loop.shutdown_asyncgens()
        await self.loop.shutdown_default_executor()

    def stop(self, wait: bool) -> None:
        """Let the loop end. With *wait* return when it has, but not in the loop's own thread."""
        with self._lock:
            if not self._told:  # once: a second time would end the cleaning up
                self.loop.call_soon_threadsafe(self.loop.stop)
            self._told = True
        if wait and threading.current_thread() is not self._thread:
            self._thread.join()
