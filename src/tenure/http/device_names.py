"""What a user calls a device: "Firefox on Windows", from the User-Agent that it logged in with.

A name that the application gave at login is kept as it is. A text counts as a User-Agent if it has a product with a
version in it (RFC 9110 section 10.1.5).
"""

import re
from collections.abc import Iterable

_PRODUCT = re.compile(r"[A-Za-z]/\d")
_READ = 400
"""So many characters of a User-Agent are read: a longer one is nobody's, and takes time."""

_MOST = 200

_BROWSERS = re.compile(r"^Mobile (?=Safari)| Mobile| iOS$|^Headless| UI/WKWebView")
_SYSTEMS = {"Mac OS X": "macOS", "Other": ""}
_APPLE = ("iPhone", "iPad", "iPod")


def device_names(devices: Iterable[str]) -> dict[str, tuple[str, str]]:
    """What `device_name` answers of each. Of very many, only some: the others keep the name that they have."""
    return {device: device_name(device) for device in list(dict.fromkeys(devices))[:_MOST]}


def device_name(device: str) -> tuple[str, str]:
    """The browser, and the system or the device, of what a session has as its `device`. Each may be "".

    Of a name that the application gave, the whole and "".
    """
    if not _PRODUCT.search(device):
        return device, ""
    from ua_parser import parse

    found = parse(device[:_READ])
    browser = _BROWSERS.sub("", found.user_agent.family) if found.user_agent is not None else ""
    system = "" if found.os is None else _SYSTEMS.get(found.os.family, found.os.family)
    model = "" if found.device is None else found.device.family
    if model in _APPLE or (system == "Android" and len(model) > 1 and not model.startswith("Generic")):
        system = model  # Chrome says "K" of every Android device
    return (browser, system) if browser or system else (device, "")
