"""Prolific's public keys, which sign the entry tokens: fetched by id, and kept.

Documented: the address, that keys are found by `kid`, and that a copy is to be renewed daily. Ours:
an unknown key id is looked up anew, but at most once a minute, so that forged tokens cannot make
this server ask without end; and where Prolific cannot be reached a copy serves one day longer.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from threading import Lock

import httpx
import jwt

JWKS_URL = "https://api.prolific.com/.well-known/study/jwks.json"
FRESH = timedelta(days=1)
USABLE = timedelta(days=2)
RETRY = timedelta(minutes=1)
TIMEOUT_S = 5.0

log = logging.getLogger(__name__)


class KeysUnavailableError(RuntimeError):
    """No usable copy of Prolific's keys, and they cannot be fetched now."""


class Keys:
    """The keys at one address; `transport` stands in for the network in tests."""

    def __init__(self, url: str = JWKS_URL, transport: httpx.BaseTransport | None = None) -> None:
        self.url = url
        self.transport = transport
        self._lock = Lock()
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at: datetime | None = None
        self._tried_at: datetime | None = None

    def find(self, kid: str, now: datetime) -> jwt.PyJWK | None:
        """The key of this id, or None. Raises KeysUnavailableError."""
        if not self._is_younger(FRESH, now) or kid not in self._keys:
            with self._lock:
                if not self._was_tried(now) and not (
                    self._is_younger(FRESH, now) and kid in self._keys
                ):
                    self._fetch(now)
        if not self._is_younger(USABLE, now):
            raise KeysUnavailableError(f"the keys at {self.url} cannot be fetched")
        return self._keys.get(kid)

    def _is_younger(self, age: timedelta, now: datetime) -> bool:
        return self._fetched_at is not None and now - self._fetched_at < age

    def _was_tried(self, now: datetime) -> bool:
        return self._tried_at is not None and now - self._tried_at < RETRY

    def _fetch(self, now: datetime) -> None:
        self._tried_at = now
        try:
            with httpx.Client(transport=self.transport, timeout=TIMEOUT_S) as client:
                answer = client.get(self.url).raise_for_status()
            keys = jwt.PyJWKSet.from_dict(answer.json()).keys
        except (httpx.HTTPError, jwt.PyJWTError, ValueError, AttributeError) as error:
            log.warning("Prolific's keys at %s cannot be fetched: %r", self.url, error)
            return
        self._keys = {key.key_id: key for key in keys if key.key_id}
        self._fetched_at = now


PROLIFIC_KEYS = Keys()
