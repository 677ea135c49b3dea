"""A project with simplejwt as people really use it, in one file, before it is moved over to tenure.

Views name their authentication class; a serializer adds claims; one view logs in by RefreshToken.for_user, one logs out
by RefreshToken(…).blacklist(); one subclass reads the token from a cookie; one view is stateless.
"""

import datetime
import json
import sys

import django
from django.conf import settings

MOVED = {}

settings.configure(
    SECRET_KEY="of-the-project-0123456789-abcdefghijklmnopqrstuv",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "rest_framework",
        "rest_framework_simplejwt",
        "rest_framework_simplejwt.token_blacklist",
        *MOVED.get("APPS", []),
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "project.db", "ATOMIC_REQUESTS": True,
                           "OPTIONS": {"transaction_mode": "IMMEDIATE"}}},
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    SIMPLE_JWT={"ROTATE_REFRESH_TOKENS": True, "REFRESH_TOKEN_LIFETIME": datetime.timedelta(days=30)},
    TENURE=MOVED.get("TENURE"),
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)  # fmt: skip
django.setup()

from django.contrib.auth import get_user_model
from django.urls import include, path
from rest_framework.decorators import api_view, authentication_classes, permission_classes
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_simplejwt.authentication import JWTAuthentication, JWTStatelessUserAuthentication
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.serializers import TokenObtainPairSerializer, TokenRefreshSerializer
from rest_framework_simplejwt.tokens import RefreshToken
from rest_framework_simplejwt.views import (
    TokenBlacklistView,
    TokenObtainPairView,
    TokenRefreshView,
    TokenVerifyView,
)


class PairSerializer(TokenObtainPairSerializer):
    @classmethod
    def get_token(cls, user):
        token = super().get_token(user)
        token["name"] = user.get_username()
        return token

    def validate(self, attrs):
        return {**super().validate(attrs), "greeting": f"Hello {self.user.get_username()}"}


class LoginView(TokenObtainPairView):
    serializer_class = PairSerializer


class CookieRefreshSerializer(TokenRefreshSerializer):
    def to_internal_value(self, data):
        return super().to_internal_value({**data, "refresh": self.context["request"].COOKIES.get("refresh", "")})


class CookieRefreshView(TokenRefreshView):
    serializer_class = CookieRefreshSerializer


class CookieAuthentication(JWTAuthentication):
    def authenticate(self, request):
        raw = request.COOKIES.get("access")
        if raw is None:
            return super().authenticate(request)
        token = self.get_validated_token(raw)
        return self.get_user(token), token


class Whoami(APIView):
    authentication_classes = [JWTAuthentication]
    permission_classes = [IsAuthenticated]

    def get(self, request):
        return Response(
            {"user": request.user.get_username(), "name": request.auth.get("name"), "id": request.auth["user_id"]}
        )


class Stateless(APIView):
    authentication_classes = [JWTStatelessUserAuthentication]
    permission_classes = [IsAuthenticated]

    def get(self, request):
        return Response({"id": str(request.user.id)})


class FromCookie(APIView):
    authentication_classes = [CookieAuthentication]
    permission_classes = [IsAuthenticated]

    def get(self, request):
        return Response({"user": request.user.get_username()})


@api_view(["POST"])
@permission_classes([AllowAny])
def register(request):
    user = get_user_model().objects.create_user(request.data["username"], password=request.data["password"])
    refresh = RefreshToken.for_user(user)
    return Response({"refresh": str(refresh), "access": str(refresh.access_token)})


@api_view(["POST"])
@authentication_classes([JWTAuthentication])
@permission_classes([IsAuthenticated])
def logout(request):
    try:
        RefreshToken(request.data["refresh"]).blacklist()
    except TokenError as refused:
        return Response({"detail": str(refused)}, status=400)
    return Response(status=205)


urlpatterns = [
    path("token/", LoginView.as_view()),
    path("token/plain/", TokenObtainPairView.as_view()),
    path("token/refresh/", TokenRefreshView.as_view()),
    path("token/cookie/", CookieRefreshView.as_view()),
    path("token/verify/", TokenVerifyView.as_view()),
    path("token/blacklist/", TokenBlacklistView.as_view()),
    path("whoami/", Whoami.as_view()),
    path("stateless/", Stateless.as_view()),
    path("cookie/", FromCookie.as_view()),
    path("register/", register),
    path("logout/", logout),
    *[path("", include(one)) for one in MOVED.get("URLS", [])],
]


def ask(requests):
    """Send requests, one after the other, and print what is answered. `$n.name` is a field of the answer number n."""
    from django.test import Client

    answers = []

    def known(value):
        if isinstance(value, dict):
            return {name: known(one) for name, one in value.items()}
        if isinstance(value, str) and value.startswith("$"):
            number, _, name = value[1:].partition(".")
            return answers[int(number)]["body"][name]
        return value

    for method, address, body, headers in requests:
        client = Client(raise_request_exception=False)
        headers = known(headers)
        for name, value in headers.pop("cookies", {}).items():
            client.cookies[name] = value
        if "bearer" in headers:
            headers["Authorization"] = f"Bearer {headers.pop('bearer')}"
        answer = client.generic(method, address, json.dumps(known(body)), "application/json", headers=headers)
        content = answer.json() if answer.headers.get("Content-Type", "").endswith("json") else {}
        answers.append({"status": answer.status_code, "body": content})
    print(json.dumps(answers))


if __name__ == "__main__":
    from django.core.management import execute_from_command_line

    sys.modules["project"] = sys.modules[__name__]
    if sys.argv[1] == "ask":
        ask(json.load(sys.stdin))
    else:
        execute_from_command_line(sys.argv)
