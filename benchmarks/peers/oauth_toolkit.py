"""django-oauth-toolkit: `python -m benchmarks.peers.oauth_toolkit NUMBER` prints tokens, gunicorn serves them.

As its documentation says for rotation with reuse detection: ROTATE_REFRESH_TOKEN (its default) and
REFRESH_TOKEN_REUSE_PROTECTION. The client is a public one, as it is on our side.
"""

import datetime
import json
import secrets
import sys

from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.urls import include, path

from benchmarks.peers.django_project import configure

configure(
    __name__,
    "oauth2_provider",
    OAUTH2_PROVIDER={"ROTATE_REFRESH_TOKEN": True, "REFRESH_TOKEN_REUSE_PROTECTION": True},
)

urlpatterns = [path("o/", include("oauth2_provider.urls", namespace="oauth2_provider"))]
application = get_wsgi_application()

if __name__ == "__main__":
    from django.contrib.auth.models import User
    from django.utils import timezone
    from oauth2_provider.models import AccessToken, Application, RefreshToken

    call_command("migrate", verbosity=0)
    client = Application.objects.create(
        client_id="app",
        client_type=Application.CLIENT_PUBLIC,
        authorization_grant_type=Application.GRANT_AUTHORIZATION_CODE,
        redirect_uris="https://app.example.com/",
    )
    tokens = []
    for number in range(int(sys.argv[1])):
        user = User.objects.create_user(f"user-{number}")
        access = AccessToken.objects.create(
            user=user,
            application=client,
            token=secrets.token_urlsafe(30),
            scope="read",
            expires=timezone.now() + datetime.timedelta(minutes=10),
        )
        refresh = RefreshToken.objects.create(
            user=user, application=client, token=secrets.token_urlsafe(30), access_token=access
        )
        tokens.append(refresh.token)
    print(json.dumps(tokens))
