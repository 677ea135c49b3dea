"""Follow a service's feed of revocations, without access to its store.

One thread asks what was revoked since the last response, by long polling. Failures are retried with a growing pause;
meanwhile access tokens are valid until they expire, as they are without a feed.
"""

import json
import threading
import urllib.error
import urllib.request
from http import HTTPStatus
from urllib.parse import urlencode

from tenure.core.access import Checker
from tenure.core.cutoffs import cutoff_in

WAIT_SECONDS = 25
_MAX_BYTES = 8 * 1024 * 1024
_GRACE_SECONDS = 10.0
_PAUSES = (1.0, 2.0, 5.0, 15.0, 60.0)


class RevocationFeed:
    """Tells `checker` about each revoked session, until it is closed."""

    def __init__(self, url: str, checker: Checker) -> None:
        self._url = url
        self._checker = checker
        self._position, self._begun = 0, False
        self._closed = threading.Event()
        threading.Thread(target=self._follow, name="tenure-revocation-feed", daemon=True).start()

    def close(self) -> None:
        """Stop asking. The thread ends once its current request is done."""
        self._closed.set()

    def _follow(self) -> None:
        failures = 0
        while not self._closed.is_set():
            try:
                self._ask()
                failures = 0
            except urllib.error.HTTPError as refused:
                with refused:
                    if refused.code == HTTPStatus.NOT_FOUND:
                        return  # this issuer has no feed
                failures += 1
            except (OSError, ValueError, TypeError, KeyError):
                failures += 1
            if failures:
                self._closed.wait(_PAUSES[min(failures, len(_PAUSES)) - 1])

    def _ask(self) -> None:
        wait = WAIT_SECONDS if self._begun else 0  # the first request must not wait: it fetches what was revoked before
        url = f"{self._url}?{urlencode({'since': self._position, 'wait': wait})}"
        # The scheme was checked by the Verifier.
        with urllib.request.urlopen(url, timeout=wait + _GRACE_SECONDS) as answer:  # noqa: S310
            news = json.loads(answer.read(_MAX_BYTES))
        self._checker.forget_expired()
        for entry in news["revoked"]:
            self._checker.revoke(str(entry["sid"]), float(entry["revoked_at"]) + float(news["keep_for"]))
        self._checker.cutoffs = tuple(cutoff_in(json.dumps(one)) for one in news.get("cutoffs", []))
        self._position, self._begun = int(news["position"]), True
