"""Webhooks: tell another service of thefts and ended sessions, signed, with retries, in the background.

They follow Standard Webhooks (standardwebhooks.com): an id, a time, and an HMAC-SHA-256 over both and the body. A
thread sends them; a request only puts the event into a queue. An event that can't be delivered within some minutes, or
does not fit into the queue, is dropped and logged.
"""

import base64
import hashlib
import hmac
import json
import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import asdict
from urllib.parse import urlsplit

import httpx2
import tenacity

from tenure.core.errors import ConfigurationError
from tenure.core.events import Event
from tenure.core.forking import Forking, survive_forks
from tenure.core.origins import is_loopback

TOLD = ("reuse_detected", "stolen_token_refused", "revoked")
MAX_WAITING = 10_000
TRIES, TRY_SECONDS, TIMEOUT_SECONDS = 8, 300.0, 10.0
FIRST_PAUSE_SECONDS = 1.0

_log = logging.getLogger("tenure")


class Webhooks(Forking):
    """Sends events to `url`, signed with `secret` (text of 24 bytes or more). Raises ConfigurationError.

    random: gives random bytes, for the ids.
    """

    def __init__(self, url: str, secret: str, random: Callable[[int], bytes]) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
            raise ConfigurationError("webhook_url is https, or http to this machine.")
        if len(secret.encode()) < 24:
            raise ConfigurationError("webhook_secret is text of 24 bytes or more.")
        self._url = url
        self._key = secret.encode()
        self._random = random
        self.after_fork_in_child()
        survive_forks(self)

    def after_fork_in_child(self) -> None:
        """Begin with an empty queue; the first event starts a thread."""
        self._waiting: queue.Queue[Event | None] = queue.Queue(MAX_WAITING)
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def tell(self, event: Event) -> None:
        """An event hook, which only queues the event."""
        if event.kind in TOLD:
            with self._starting:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._serve, name="tenure-webhooks", daemon=True)
                    self._thread.start()
            try:
                self._waiting.put_nowait(event)
            except queue.Full:
                _log.error(
                    "too many webhooks wait to be sent: %s of session %s is dropped", event.kind, event.session_id
                )

    def close(self) -> None:
        """Stop after the event being sent, until the next one."""
        with self._starting:
            thread, self._thread = self._thread, None
        if thread is not None:
            with self._waiting.mutex:
                self._waiting.queue.clear()
            self._waiting.put(None)
            thread.join(TIMEOUT_SECONDS)

    def _serve(self) -> None:
        with httpx2.Client(timeout=TIMEOUT_SECONDS) as client:
            while (event := self._waiting.get()) is not None:
                try:
                    self._send(client, event)
                except httpx2.HTTPError as problem:
                    details = (event.kind, event.session_id, type(problem).__name__)
                    _log.error("a webhook could not be delivered: %s of session %s (%s)", *details)

    def _send(self, client: httpx2.Client, event: Event) -> None:
        fields = {name: value for name, value in asdict(event).items() if value is not None}
        body = json.dumps({"type": f"session.{event.kind}", "timestamp": event.at, "data": fields}).encode()
        message_id, sent_at = f"msg_{self._random(16).hex()}", str(int(event.at))
        headers = {
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": sent_at,
            "webhook-signature": signature(self._key, message_id, sent_at, body),
        }
        for attempt in tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(httpx2.HTTPError),
            wait=tenacity.wait_random_exponential(multiplier=FIRST_PAUSE_SECONDS, max=60.0),
            stop=tenacity.stop_after_attempt(TRIES) | tenacity.stop_before_delay(TRY_SECONDS),
            reraise=True,
        ):
            with attempt:
                client.post(self._url, content=body, headers=headers).raise_for_status()


def signature(key: bytes, message_id: str, sent_at: str, body: bytes) -> str:
    """The header `webhook-signature`: v1, a comma, the HMAC in base64."""
    signed = f"{message_id}.{sent_at}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
