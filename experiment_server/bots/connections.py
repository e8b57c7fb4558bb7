"""Connections to a server that many bots share, as a proxy's browsers share the proxy's own.

A thousand browsers behind Caddy or nginx reach the server over a few connections that stay open.
This is also a fifth of the work that a full client does: bots and server share the machine.
"""

from __future__ import annotations

import asyncio
import json as jsonlib
import ssl
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx

CONNECT_S = 10.0
LARGEST_BYTES = 64 * 2**20  # of an answer


@dataclass
class Answer:
    """What a server answered; the part of `httpx.Response` that bots look at."""

    status_code: int
    headers: dict[str, str]  # by lower-case name
    content: bytes
    cookies: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The body, read as UTF-8."""
        return self.content.decode("utf-8", "replace")

    @property
    def is_redirect(self) -> bool:
        """Whether another address is named."""
        return 300 <= self.status_code < 400 and "location" in self.headers

    def json(self) -> Any:
        """The body, read as JSON."""
        return jsonlib.loads(self.content)


class Connections:
    """At most so many connections to the server at `url`, kept open and shared."""

    def __init__(self, url: str, at_most: int, tls: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(url)
        self.host, self.port = str(parts.hostname), parts.port or {"https": 443}.get(parts.scheme)
        self.name = parts.netloc
        self.tls = tls if parts.scheme == "https" else None
        self._turns = asyncio.Semaphore(at_most)
        # Used in turn: each is tied to one worker of the server, and all of them are to work.
        self._free: deque[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = deque()

    async def exchange(self, request: bytes) -> Answer:
        """Sends one request, reads its answer. Raises httpx.TransportError, as a client does."""
        async with self._turns:
            reader, writer = await self._take()
            kept = False
            try:
                writer.write(request)
                answer = await _read(reader)
                kept = answer.headers.get("connection", "").lower() != "close"
            except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
                raise httpx.ReadError(str(error)) from error
            finally:  # also when the bot gave up waiting: what comes then is nobody's answer
                if kept:
                    self._free.append((reader, writer))
                else:
                    writer.close()
            return answer

    async def _take(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._free:
            reader, writer = self._free.popleft()
            if not reader.at_eof():
                return reader, writer
            writer.close()  # the server has ended it
        return await self._open()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            opening = asyncio.open_connection(
                self.host, self.port, ssl=self.tls, limit=LARGEST_BYTES
            )
            return await asyncio.wait_for(opening, CONNECT_S)
        except (OSError, TimeoutError) as error:
            raise httpx.ConnectError(str(error)) from error

    def close(self) -> None:
        """Ends those that nobody uses."""
        for _, writer in self._free:
            writer.close()
        self._free.clear()


async def _read(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    answer = Answer(int(head[0].split(" ", 2)[1]), {}, b"")
    for line in head[1:-2]:
        name, _, value = line.partition(": ")
        name = name.lower()
        answer.headers[name] = value
        if name == "set-cookie":
            answer.cookies.append(value)
    if "content-length" in answer.headers:
        answer.content = await reader.readexactly(int(answer.headers["content-length"]))
    elif answer.headers.get("transfer-encoding", "").lower() == "chunked":
        answer.content = await _read_chunks(reader)
    return answer


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while size := int((await reader.readline()).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readline()
    return bytes(body)


class SharingClient:
    """One browser's requests over shared connections: its cookies are its own."""

    def __init__(
        self, connections: Connections, headers: Mapping[str, str], timeout_s: float
    ) -> None:
        self.connections = connections
        self.headers = dict(headers)
        self.timeout_s = timeout_s
        self.cookies: dict[str, str] = {}

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Sends one request. Raises httpx.TransportError where none or no whole answer came."""
        lines = {"Host": self.connections.name, **self.headers, **(headers or {})}
        body = b""
        if data is not None:
            body = urlencode(data).encode()
            lines["Content-Type"] = "application/x-www-form-urlencoded"
        elif json is not None:
            body = jsonlib.dumps(json).encode()
            lines["Content-Type"] = "application/json"
        if body:
            lines["Content-Length"] = str(len(body))
        if self.cookies:
            lines["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        target = f"{path}?{urlencode(params)}" if params else path
        head = [f"{method} {target} HTTP/1.1", *(f"{key}: {value}" for key, value in lines.items())]
        request = "\r\n".join([*head, "", ""]).encode("latin-1") + body
        try:
            async with asyncio.timeout(self.timeout_s):
                answer = await self.connections.exchange(request)
        except TimeoutError as error:
            raise httpx.ReadTimeout("no answer") from error
        for line in answer.cookies:
            self._keep(line)
        return answer

    def _keep(self, line: str) -> None:
        for name, morsel in SimpleCookie(line).items():
            self.cookies[name] = morsel.value
            if morsel["max-age"] == "0" or not morsel.value:
                del self.cookies[name]

    async def aclose(self) -> None:
        """Nothing is its own to be closed."""
