"""The mark of a browser that has signed in before: what lets an account's owner in while strangers guess at it.

A mark is a random id and an HMAC over it and the account. It lies in a cookie of its own and opens nothing: whoever
shows one for the account that they sign in to is counted by themselves, and not with strangers (OWASP, "Slow Down
Online Guessing Attacks with Device Cookies").
"""

import hmac
from collections.abc import Sequence

from tenure.inputs import spelling_of

MARK_ID_BYTES = 12
_MAC_CHARS = 32


def new_mark(account: str, key: bytes, random_id: bytes) -> str:
    """The mark of a browser that has signed in to `account` just now. random_id: 12 random bytes."""
    device = random_id.hex()
    return f"{device}.{_mac(account, device, key)}"


def device_of(mark: str, account: str, keys: Sequence[bytes]) -> str | None:
    """The id of the browser that shows `mark`, if one of `keys` made it for `account`; None otherwise."""
    device, dot, mac = mark.partition(".")
    if not dot or len(device) != 2 * MARK_ID_BYTES or not mac.isascii():
        return None
    return device if any(hmac.compare_digest(mac, _mac(account, device, key)) for key in keys) else None


def _mac(account: str, device: str, key: bytes) -> str:
    said = f"{device} {spelling_of(account)}".encode("utf-8", "surrogatepass")
    return hmac.digest(key, said, "sha256").hex()[:_MAC_CHARS]
