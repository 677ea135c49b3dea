"""`manage.py check` names what still takes simplejwt's tokens alone, in a project that moves over."""

import sys
from collections.abc import Iterator, Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning
from django.urls import get_resolver

_OLD = "rest_framework_simplejwt"
_OWN_MODULES = (_OLD, "tenure", "dj_rest_auth")
_OURS = "tenure.integrations.django.simplejwt"


def check_moved(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    """Warn of views and modules that still use simplejwt's own classes, once the project uses ours.

    Checks nothing in a project that uses simplejwt without us.
    """
    if not getattr(settings, "TENURE", None) or not getattr(settings, "ROOT_URLCONF", None):
        return []
    views = list(_views(get_resolver().url_patterns, ""))  # loads the project's views
    if _OLD not in sys.modules or f"{_OURS}.tokens" not in sys.modules:
        return []
    return [*_of_views(views), *_of_modules(), *_of_rotation()]


def _views(patterns: Sequence[Any], prefix: str) -> Iterator[tuple[str, Any, Any]]:
    """The routes of a URLconf, each with its view's class and the arguments of `as_view`."""
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if hasattr(pattern, "url_patterns"):
            yield from _views(pattern.url_patterns, route)
            continue
        view = getattr(pattern.callback, "cls", None) or getattr(pattern.callback, "view_class", None)
        if view is not None:
            yield route, view, getattr(pattern.callback, "initkwargs", {})


def _of_views(views: Sequence[tuple[str, Any, Any]]) -> Iterator[CheckMessage]:
    from rest_framework_simplejwt.authentication import JWTAuthentication
    from rest_framework_simplejwt.views import TokenViewBase

    from tenure.integrations.django.rest_framework import TenureAuthentication
    from tenure.integrations.django.simplejwt.authentication import TakesEither
    from tenure.integrations.django.simplejwt.views import OwnView

    for route, view, arguments in views:
        classes = arguments.get("authentication_classes") or getattr(view, "authentication_classes", ())
        takes_ours = any(issubclass(one, (TakesEither, TenureAuthentication)) for one in classes)
        if not takes_ours and any(issubclass(one, JWTAuthentication) for one in classes):
            message = f"{view.__module__}.{view.__name__} (at {route!r}) refuses tenure's tokens."
            hint = f"Import JWTAuthentication, or what the class is made of, from {_OURS}.authentication."
            yield Warning(message, hint=hint, id="tenure.W004")
        if issubclass(view, TokenViewBase) and not issubclass(view, OwnView):
            message = f"{view.__module__}.{view.__name__} (at {route!r}) still deals in simplejwt's tokens alone."
            yield Warning(message, hint=f"Import the view, or its base, from {_OURS}.views.", id="tenure.W005")


def _of_modules() -> Iterator[CheckMessage]:
    """Modules that import simplejwt's RefreshToken and the like; a log-out by them ends nothing."""
    from rest_framework_simplejwt import serializers, tokens

    old = (tokens.RefreshToken, serializers.TokenObtainPairSerializer, serializers.TokenRefreshSerializer)
    for name, module in sorted(sys.modules.items()):
        if module is None or name.partition(".")[0] in _OWN_MODULES:
            continue
        for one in old:
            if not any(value is one for value in list(vars(module).values())):
                continue
            room = one.__module__.rpartition(".")[2]
            message = f"The module {name} uses simplejwt's {one.__name__}, which knows nothing of tenure's sessions."
            yield Warning(message, hint=f"Import it from {_OURS}.{room}.", id="tenure.W006")


def _of_rotation() -> Iterator[CheckMessage]:
    from rest_framework_simplejwt.settings import api_settings

    if not api_settings.ROTATE_REFRESH_TOKENS:
        message = (
            "SIMPLE_JWT does not rotate refresh tokens, and tenure always does: a front end that does not keep the "
            '"refresh" of each response to a refresh is logged out, as its old token looks stolen.'
        )
        hint = "See that yours keeps it, then set SIMPLE_JWT['ROTATE_REFRESH_TOKENS'] = True."
        yield Warning(message, hint=hint, id="tenure.W007")
