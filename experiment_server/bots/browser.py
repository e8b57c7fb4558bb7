"""A browser's requests, as bots make them: tried again when the server says so, and timed."""

from __future__ import annotations

import asyncio
import re
import ssl
import statistics
import time
from collections import Counter, defaultdict
from typing import Any

import httpx

from experiment_server.bots.connections import Answer, Connections, SharingClient

PARALLEL = 6  # requests at once to one server, as in browsers
PATIENCE_S = 60.0  # after so long without an answer a bot gives up
_PARTS = re.compile(r'(?:href|src)="/static/([^"]+)"|^import .* from "\./([^"]+)"', re.MULTILINE)
_HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')
_CSRF = re.compile(r'name="csrf-token" content="([^"]+)"')
_MEANS_LATER = {429, 502, 503, 504}  # 502 and 504 are a proxy's
AnyAnswer = httpx.Response | Answer


class NoAnswerError(RuntimeError):
    """The server did not answer for PATIENCE_S."""


class Traffic:
    """What all browsers together met: times in ms by address, and what went wrong."""

    def __init__(self) -> None:
        self.times_ms: defaultdict[str, list[float]] = defaultdict(list)
        self.busy: Counter[str] = Counter()  # asked to come later, by status and address
        self.broken_connections = 0
        self.longest_wait_s = 0.0  # until a request was answered for good, with all its tries

    def summary(self) -> dict[str, dict[str, float]]:
        """Address -> count, median, p95, p99 and max of its times in ms; `all` is over all."""
        everything = [one for times in self.times_ms.values() for one in times]
        named = {**dict(sorted(self.times_ms.items())), "all": everything}
        return {address: summarize(times) for address, times in named.items() if times}


def summarize(times_ms: list[float]) -> dict[str, float]:
    """Count, median, p95, p99 and max of times in ms."""
    cuts = statistics.quantiles(times_ms * 2, n=100, method="inclusive")
    figures = {"median": cuts[49], "p95": cuts[94], "p99": cuts[98], "max": max(times_ms)}
    return {"count": len(times_ms), **{name: round(value, 1) for name, value in figures.items()}}


class Browser:
    """One participant's browser: its own cookies and connections, and the CSRF token it read.

    address: what it says in X-Forwarded-For; heard only by a server that believes a proxy.
    transport: what carries its requests, if not connections of its own; or `connections`, if it
    shares those of others. loads_parts: the pages' styles and scripts too, each once.
    """

    def __init__(
        self,
        url: str,
        traffic: Traffic,
        tls: ssl.SSLContext,
        address: str,
        transport: httpx.AsyncBaseTransport | None = None,
        connections: Connections | None = None,
        loads_parts: bool = False,
    ) -> None:
        self.url = url.rstrip("/")
        self.traffic = traffic
        self.tls = tls
        self.address = address
        self.transport = transport
        self.connections = connections
        self.parts: set[str] | None = set() if loads_parts else None
        self.csrf = ""
        self.hidden: dict[str, str] = {}  # fields of the last page's form
        self.visited = ""  # the last address, for complaints
        self.turns = asyncio.Semaphore(PARALLEL)
        self.client = self._new_client()

    def _new_client(self) -> httpx.AsyncClient | SharingClient:
        if self.connections is not None:
            return SharingClient(
                self.connections, {"X-Forwarded-For": self.address}, timeout_s=PATIENCE_S
            )
        return httpx.AsyncClient(
            base_url=self.url,
            verify=self.tls,
            timeout=PATIENCE_S,
            trust_env=False,
            headers={"X-Forwarded-For": self.address},
            limits=httpx.Limits(max_connections=PARALLEL),
            transport=self.transport,
        )

    async def close(self) -> None:
        """Ends its connections."""
        await self.client.aclose()

    async def replace(self) -> None:
        """Another browser in its place: no cookies."""
        await self.close()
        self.client = self._new_client()

    async def send(self, method: str, path: str, **options: Any) -> AnyAnswer:
        """One request, tried again after a broken connection, 429, 502, 503 or 504.

        Raises NoAnswerError after PATIENCE_S.
        """
        address = f"{method} {_address(path)}"
        self.visited = f"{method} {path}"
        started = time.monotonic()
        for attempt in range(1000):
            wait_s: float = min(0.1 * 2**attempt, 2.0)
            try:
                answer = await self._timed(address, method, path, **options)
            except httpx.TransportError:
                self.traffic.broken_connections += 1
            else:
                if answer.status_code not in _MEANS_LATER:
                    waited_s = time.monotonic() - started
                    self.traffic.longest_wait_s = max(self.traffic.longest_wait_s, waited_s)
                    return answer
                self.traffic.busy[f"{answer.status_code} {address}"] += 1
                wait_s = float(answer.headers.get("retry-after", wait_s))
            if time.monotonic() + wait_s > started + PATIENCE_S:
                break
            await asyncio.sleep(wait_s)
        raise NoAnswerError(f"{address}: no answer within {PATIENCE_S:.0f} s")

    async def _timed(self, address: str, method: str, path: str, **options: Any) -> AnyAnswer:
        async with self.turns:  # to wait for one's own connections is not the server's time
            sent = time.perf_counter()
            answer: AnyAnswer = await self.client.request(method, path, **options)
            self.traffic.times_ms[address].append(1000 * (time.perf_counter() - sent))
        return answer

    async def page(self, method: str, path: str, **options: Any) -> AnyAnswer:
        """A page, wherever it is redirected to; reads the CSRF token that it carries."""
        answer = await self.send(method, path, **options)
        while answer.is_redirect:
            answer = await self.send("GET", answer.headers["location"])
        found = _CSRF.search(answer.text)
        if found:
            self.csrf = found.group(1)
        self.hidden = dict(_HIDDEN.findall(answer.text))
        await self._load_parts(answer.text)
        return answer

    async def _load_parts(self, text: str) -> None:
        if self.parts is None:
            return
        wanted = {name for names in _PARTS.findall(text) for name in names if name} - self.parts
        self.parts |= wanted
        sent = (self.send("GET", f"/static/{name}") for name in sorted(wanted))
        for script in await asyncio.gather(*sent):
            await self._load_parts(script.text)

    async def hand_in(self, path: str, **form: str) -> AnyAnswer:
        """Posts a form; the page it leads to."""
        return await self.page("POST", path, data={**self.hidden, "csrf_token": self.csrf, **form})

    async def post_json(self, path: str, body: Any) -> AnyAnswer:
        """Posts JSON, as the task's script does."""
        return await self.send("POST", path, json=body, headers={"X-CSRFToken": self.csrf})


def _address(path: str) -> str:
    plain = path.split("?")[0]
    return next((one for one in ("/images/", "/static/") if plain.startswith(one)), plain)
