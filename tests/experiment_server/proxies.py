"""A proxy that repeats what it is asked to send once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count

import httpx
from postgresql import free_port

from experiment_server.bots.connections import Answer, Connections

LATER_S = 0.5
CONNECTIONS = 64


class Repeating:
    """Sends each POST twice: at once, one after the other, or again after a while, in turn."""

    def __init__(self, url: str) -> None:
        self.connections = Connections(url, CONNECTIONS)
        self.numbers = count()
        self.later: set[asyncio.Task[Answer]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One browser's connection, until it is closed."""
        with suppress(EOFError, OSError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                sizes = [line for line in head.lower().split(b"\r\n") if b"content-length:" in line]
                body = await reader.readexactly(int(sizes[0].split(b":")[1])) if sizes else b""
                try:
                    answer = await self._pass_on(head + body)
                except httpx.TransportError:
                    break  # as the server did
                writer.write(_written(answer))
        writer.close()

    async def _pass_on(self, request: bytes) -> Answer:
        if not request.startswith(b"POST"):
            return await self.connections.exchange(request)
        way = next(self.numbers) % 3
        if way == 0:  # two at once: the answer to one of them gets through
            both = [self.connections.exchange(request) for _ in range(2)]
            return (await asyncio.gather(*both))[0]
        answer = await self.connections.exchange(request)
        if way == 1:  # the first answer was lost
            return await self.connections.exchange(request)
        later = asyncio.create_task(self._send_later(request))
        self.later.add(later)
        later.add_done_callback(self.later.discard)
        return answer

    async def _send_later(self, request: bytes) -> Answer:
        await asyncio.sleep(LATER_S)
        return await self.connections.exchange(request)


def _written(answer: Answer) -> bytes:
    lines = [f"HTTP/1.1 {answer.status_code} Passed on"]
    passed_on = {"connection", "transfer-encoding", "content-length", "set-cookie"}
    lines += [f"{name}: {value}" for name, value in answer.headers.items() if name not in passed_on]
    lines += [f"set-cookie: {cookie}" for cookie in answer.cookies]
    lines += [f"content-length: {len(answer.content)}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + answer.content


@contextmanager
def repeating(url: str) -> Iterator[str]:
    """The URL of a proxy before the server at `url`."""
    port, ready = free_port(), threading.Event()
    ends: list[Callable[[], object]] = []

    async def listen() -> None:
        proxy, over = Repeating(url), asyncio.Event()
        loop = asyncio.get_running_loop()
        ends.append(lambda: loop.call_soon_threadsafe(over.set))
        server = await asyncio.start_server(proxy.serve, "127.0.0.1", port)
        ready.set()
        await over.wait()
        server.close()
        proxy.connections.close()

    thread = threading.Thread(target=lambda: asyncio.run(listen()))
    thread.start()
    ready.wait()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        ends[0]()
        thread.join()
