"""For users, a page: on what devices am I logged in, what happened lately; end one, end all others.

It works without JavaScript. A form that was sent after the access token had expired comes back as a question: only a
form changes anything. The same address answers JSON, with all that the page says, for pages of one's own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tenure.core import existing
from tenure.core.access import Claims
from tenure.core.binding import bound_to
from tenure.core.calls import Get
from tenure.core.effects import Flow, ask, call
from tenure.core.errors import ApplicationFailed, InvalidAccessToken, InvalidRequest
from tenure.core.flows import FIRST_PARTY
from tenure.core.session import AuditEntry, Session
from tenure.http.device_names import device_names
from tenure.http.devices_page import page, utc
from tenure.http.messages import Request, Response, access_token, form, json_response, no_content, query, text
from tenure.http.pages import bounce, page_session
from tenure.http.service import Service
from tenure.http.sessions import first_party
from tenure.http.texts import Words, language_of

PATH = "/devices"
THEFTS = ("reuse_detected", "stolen_token")
OTHERS = "others"

_ENTRIES = 200  # so many of the trail are read, for the addresses that devices logged in from
_SHOWN = 20
_WARNING_SECONDS = 7 * 86400.0
_JUST_NOW_SECONDS = 60.0


def show(service: Service, request: Request) -> Flow[Response]:
    """GET /auth/devices"""
    return (yield from _listed(service, request, first_party(page_session(service, request))))


def act(service: Service, request: Request) -> Flow[Response]:
    """POST /auth/devices: end one session of the list, or all others. The response leads back to the list."""
    wanted = text(form(request), "end", longest=32)
    if wanted != OTHERS and not existing.is_session_id(wanted):
        raise InvalidRequest('end is the id of a session, or "others".')
    here = service.base(request) + PATH
    try:
        claims = first_party(page_session(service, request))
    except InvalidAccessToken:
        cookies = service.cookies_of(request)
        if cookies is None or not _wants_page(request) or access_token(request) is not None:
            raise
        cookies.transport.check_origin(request)
        return bounce(service, request, f"{here}?again={wanted}")
    ended: dict[str, str] = {"by": "owner", "address": request.address}
    if wanted == OTHERS:
        yield from existing.end_all(
            service.issuer, claims.subject, except_id=claims.session_id, reason="ended_from_list", **ended
        )
    elif wanted == claims.session_id:
        yield from existing.end_session(service.issuer, wanted, reason="logged_out", **ended)
        return _logged_out(service, request)
    else:
        session = yield from call(Get(wanted))
        if session is not None and session.subject == claims.subject:
            yield from existing.end_session(service.issuer, wanted, reason="ended_from_list", **ended)
    if access_token(request) is not None:  # a proof of its key would not be good for another request
        return (yield from _listed(service, request, claims))
    return Response(303, [("location", here), ("cache-control", "no-store")])


def _listed(service: Service, request: Request, claims: Claims) -> Flow[Response]:
    sessions = yield from existing.list_live(service.issuer, claims.subject)
    trail = yield from existing.list_audit(service.issuer, claims.subject, _ENTRIES)
    shown = trail[:_SHOWN]
    logins = {entry.session_id: entry.address for entry in trail if entry.kind == "logged_in"}
    places = yield from _places(service, [*logins.values(), *(entry.address for entry in shown)])
    words = _words(service, request)
    # In another thread: the list of all browsers takes a while to load, and a strange User-Agent to read.
    names = yield from ask(
        "list of browsers", device_names, [*(one.device for one in sessions), *(one.device for one in shown)]
    )
    view = _View(words, service.issuer.now(), claims.session_id, logins, places, names)
    devices = [view.device(one) for one in sorted(sessions, key=view.order)]
    content = {
        "language": words.language,
        "devices": devices,
        "activity": [view.entry(one) for one in shown],
        "message": view.message(trail),
    }
    if not _wants_page(request):
        return json_response(content)
    again = query(request).get("again", "")
    name = next((device["name"] for device in devices if device["id"] == again), "")
    asked = {"again": again if name or again == OTHERS else "", "again_name": name}
    action = service.base(request) + PATH
    return page(
        "devices.html", {**content, **asked, **_frame(service, request, words), "action": action}, service.devices
    )


def _wants_page(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _frame(service: Service, request: Request, words: Words) -> dict[str, Any]:
    return {"language": words.language, "say": words.say, "home": request.root + service.devices.home}


def _words(service: Service, request: Request) -> Words:
    texts = service.devices.texts
    return Words(language_of(request.headers.get("accept-language", ""), texts), texts)


def _logged_out(service: Service, request: Request) -> Response:
    cookies = service.cookies_of(request)
    clearing = [] if cookies is None else cookies.clear()
    if not _wants_page(request):
        return no_content(clearing)
    frame = _frame(service, request, _words(service, request))
    return page("logged_out.html", frame, service.devices, clearing)


def _places(service: Service, addresses: Sequence[str]) -> Flow[dict[str, str]]:
    """Where the addresses are, as far as the application knows. What it raises is logged, and costs only the place."""
    places: dict[str, str] = {}
    if service.devices.place is None:
        return places
    for address in dict.fromkeys(filter(None, addresses)):
        try:
            place = yield from ask("place", service.devices.place, address)
        except ApplicationFailed:
            break
        if isinstance(place, str) and place:
            places[address] = place
    return places


@dataclass(frozen=True, slots=True)
class _View:
    """Sessions and entries of the trail, in words."""

    words: Words
    now: float
    current: str
    logins: dict[str, str]
    places: dict[str, str]
    names: Mapping[str, tuple[str, str]]

    def order(self, session: Session) -> tuple[bool, float]:
        """This device first, then the latest used."""
        return session.id != self.current, -session.last_used_at

    def device(self, session: Session) -> dict[str, Any]:
        bound = bound_to(session.binding)
        return {
            "id": session.id,
            "name": self._name(session.device),
            "app": "" if session.client_id == FIRST_PARTY else self.words.say("app", client=session.client_id),
            "current": session.id == self.current,
            "created_at": int(session.created_at),
            "last_used_at": int(session.last_used_at),
            "since": self.words.say("since", time=self._ago(session.created_at)),
            "last_used": self.words.say("last_used", time=self._ago(session.last_used_at)),
            "place": self._place(self.logins.get(session.id, "")),
            "bound": bound,
            "bound_text": "" if bound is None else self.words.say(f"bound.{bound}"),
        }

    def entry(self, entry: AuditEntry) -> dict[str, Any]:
        return {
            "at": int(entry.at),
            "time": self._ago(entry.at),
            "session_id": entry.session_id,
            "text": self.words.say("logged_in") if entry.kind == "logged_in" else self.words.ended(entry.reason),
            "name": self._name(entry.device),
            "place": self._place(entry.address),
            "theft": entry.reason in THEFTS,
            "warning": self.words.say("warning") if self._is_warning(entry) else "",
        }

    def message(self, trail: Sequence[AuditEntry]) -> str:
        """What has just been done here, by the trail: a link from elsewhere can't claim it."""
        ended = sum(
            1 for entry in trail if entry.reason == "ended_from_list" and self.now - entry.at < _JUST_NOW_SECONDS
        )
        return self.words.count("ended_just_now", ended) if ended else ""

    def _is_warning(self, entry: AuditEntry) -> bool:
        return entry.reason in THEFTS and self.now - entry.at < _WARNING_SECONDS

    def _name(self, device: str) -> str:
        return self.words.device(*self.names.get(device, (device, "")))

    def _ago(self, moment: float) -> str:
        return self.words.ago(self.now - moment, utc(moment)[:10])

    def _place(self, address: str) -> str:
        place = self.places.get(address)
        return address if place is None else self.words.say("place", place=place, address=address)
