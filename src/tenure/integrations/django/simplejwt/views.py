"""simplejwt's views over sessions of tenure, with the requests and responses that front ends know.

They run outside the request's transaction, despite ATOMIC_REQUESTS: a rotation is committed even if the request fails.
"""

from typing import Any

from django.db import transaction
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework_simplejwt import views as old
from rest_framework_simplejwt.settings import DEFAULTS, api_settings

from tenure.integrations.django.simplejwt import serializers


class OwnView(old.TokenViewBase):
    """A view with one of our serializers, unless the project has set another in SIMPLE_JWT."""

    _setting = ""

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        """The view's own serializer, the setting's, or ours."""
        if self.serializer_class is None and getattr(api_settings, self._setting) == DEFAULTS[self._setting]:
            ours: type[BaseSerializer[Any]] = getattr(serializers, DEFAULTS[self._setting].rpartition(".")[2])
            return ours
        self._serializer_class = getattr(api_settings, self._setting)
        return super().get_serializer_class()

    def post(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        """Answer, for nobody's cache."""
        response: Response = super().post(request, *args, **kwargs)
        response["Cache-Control"] = "no-store"
        return response

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        """The view function, outside of transactions."""
        return transaction.non_atomic_requests(super().as_view(**initkwargs))


class TokenObtainPairView(OwnView):
    """POST a name and a password: {"access": …, "refresh": …}."""

    _setting = "TOKEN_OBTAIN_SERIALIZER"


class TokenRefreshView(OwnView):
    """POST {"refresh": …}, of either kind: {"access": …, "refresh": …}, both new."""

    _setting = "TOKEN_REFRESH_SERIALIZER"


class TokenVerifyView(OwnView):
    """POST {"token": …}, of either kind: 200, or 401."""

    _setting = "TOKEN_VERIFY_SERIALIZER"


class TokenBlacklistView(OwnView):
    """POST {"refresh": …}, of either kind: log out."""

    _setting = "TOKEN_BLACKLIST_SERIALIZER"


token_obtain_pair = TokenObtainPairView.as_view()
token_refresh = TokenRefreshView.as_view()
token_verify = TokenVerifyView.as_view()
token_blacklist = TokenBlacklistView.as_view()
