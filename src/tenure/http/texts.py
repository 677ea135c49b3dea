"""What the pages for users say, in English, and in whatever languages the application adds.

`{…}` stands for what is put in. A text with `{n}` may be a function of the number, where a language has plurals.
"""

from collections.abc import Callable, Mapping

from tenure.core.errors import ConfigurationError

Text = str | Callable[[int], str]
Texts = Mapping[str, Text]

ENGLISH: Texts = {
    "title": "Your devices",
    "intro": "Your account is logged in on these devices. Log out any that you don't recognise.",
    "this_device": "This device",
    "name": "{browser} on {system}",
    "unknown_device": "Unknown device",
    "app": "by the app {client}",
    "since": "Logged in {time}",
    "last_used": "Last used {time}",
    "place": "{place} ({address})",
    "bound.device": "Locked to this device: a copy of the login works nowhere else",
    "bound.key": "Locked to this browser or app: a copy of the login works nowhere else",
    "end": "Log out",
    "end_others": "Log out all other devices",
    "ended_just_now": lambda n: "One device has been logged out." if n == 1 else f"{n} devices have been logged out.",
    "again": "This page was open for a while. Log out this device now?",
    "again_others": "This page was open for a while. Log out all other devices now?",
    "keep": "Keep",
    "home": "Back",
    "logged_out": "You are logged out",
    "logged_out_text": "This device is logged out.",
    "warning": (
        "If you can't explain this, somebody may have had access to that device. Change your password, and log out any "
        "device that you don't recognise."
    ),
    "activity": "What happened lately",
    "no_activity": "Nothing.",
    "logged_in": "Logged in",
    "ended": "Logged out",
    "ended.logged_out": "Logged out",
    "ended.ended_from_list": "Logged out from the list of devices",
    "ended.replaced": "Replaced by a new login in the same browser",
    "ended.session_limit": "Logged out, as there were too many devices",
    "ended.ended_by_admin": "Logged out by the operators of this site",
    "ended.cutoff": "Logged out by the operators of this site",
    "ended.account_gone": "Logged out with the account",
    "ended.reuse_detected": "Logged out for your safety: a copy of this login was used, and we can't tell by whom",
    "ended.stolen_token": "Logged out for your safety: somebody tried to use a copy of this login on another device",
    "now": "just now",
    "minutes_ago": lambda n: "a minute ago" if n == 1 else f"{n} minutes ago",
    "hours_ago": lambda n: "an hour ago" if n == 1 else f"{n} hours ago",
    "days_ago": lambda n: "yesterday" if n == 1 else f"{n} days ago",
    "on_date": "on {date}",
    "failed": "That did not work. Try again in a moment.",
}

_SAMPLE = {
    "browser": "", "system": "", "client": "", "time": "", "place": "", "address": "", "date": "", "n": 1,
}  # fmt: skip
_OWN_REASON = "ended."


def check_texts(languages: Mapping[str, Texts]) -> None:
    """Raise ConfigurationError for texts that could not be shown, or that no page has."""
    if not isinstance(languages, Mapping):
        raise ConfigurationError('texts is texts by language: {"de": {"title": "Deine Geräte"}}.')
    for language, texts in languages.items():
        if not isinstance(language, str) or not isinstance(texts, Mapping):
            raise ConfigurationError('texts is texts by language: {"de": {"title": "Deine Geräte"}}.')
        for name, text in texts.items():
            if name not in ENGLISH and not str(name).startswith(_OWN_REASON):
                raise ConfigurationError(f"texts of {language}: no page says {name!r}. They say {', '.join(ENGLISH)}.")
            try:
                said = text(1) if callable(text) else text.format(**_SAMPLE)
            except Exception as problem:  # noqa: BLE001 - whatever an application's own text raises
                raise ConfigurationError(f"texts of {language}: {name!r} can't be put together: {problem!r}.") from None
            if not isinstance(said, str):
                raise ConfigurationError(f"texts of {language}: {name!r} is text, not {type(said).__name__}.")


def language_of(accepted: str, languages: Mapping[str, Texts]) -> str:
    """The language of `languages`, or English, that an Accept-Language header likes best (RFC 9110 section 12.5.4)."""
    known = {"en": "en", **{language.lower(): language for language in languages}}
    wanted: list[tuple[float, str]] = []
    for part in accepted.split(",")[:20]:
        name, _, weight = part.partition(";")
        try:
            wanted.append((-float(weight.strip().removeprefix("q=") or 1), name.strip().lower()))
        except ValueError:
            continue
    for order, tag in sorted(wanted, key=lambda one: one[0]):
        for candidate in (tag, tag.partition("-")[0]):
            if order < 0 and candidate in known:
                return known[candidate]
    return "en"


class Words:
    """The texts of one language, English where it has none."""

    def __init__(self, language: str, languages: Mapping[str, Texts]) -> None:
        self.language = language
        self._texts = {**ENGLISH, **languages.get(language, {})}

    def say(self, name: str, /, **parts: str) -> str:
        """A text with its parts put in."""
        text = self._texts[name]
        return text(1) if callable(text) else text.format(**{**_SAMPLE, **parts})

    def count(self, name: str, n: int) -> str:
        """A text about a number."""
        text = self._texts[name]
        return text(n) if callable(text) else text.format(**{**_SAMPLE, "n": n})

    def device(self, browser: str, system: str) -> str:
        """What a device is called, of its browser and its system, each of which may be ""."""
        if browser and system:
            return self.say("name", browser=browser, system=system)
        return browser or system or self.say("unknown_device")

    def ended(self, reason: str | None) -> str:
        """Why a session was ended."""
        name = f"{_OWN_REASON}{reason}"
        return self.say(name if name in self._texts else "ended")

    def ago(self, seconds: float, date: str) -> str:
        """A moment, so many seconds before now. date: as it is written, for one that is long past."""
        minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86400)
        if minutes < 1:
            return self.say("now")
        if hours < 1:
            return self.count("minutes_ago", minutes)
        if days < 1:
            return self.count("hours_ago", hours)
        return self.count("days_ago", days) if days < _LONG_PAST_DAYS else self.say("on_date", date=date)


_LONG_PAST_DAYS = 14
