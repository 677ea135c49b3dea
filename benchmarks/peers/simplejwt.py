"""djangorestframework-simplejwt: `python -m benchmarks.peers.simplejwt NUMBER` prints tokens, gunicorn serves them.

As its documentation says for rotation with reuse detection: ROTATE_REFRESH_TOKENS, BLACKLIST_AFTER_ROTATION, and the
app token_blacklist.
"""

import json
import sys

from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.urls import path

from benchmarks.peers.django_project import configure

configure(
    __name__,
    "rest_framework",
    "rest_framework_simplejwt",
    "rest_framework_simplejwt.token_blacklist",
    SIMPLE_JWT={"ROTATE_REFRESH_TOKENS": True, "BLACKLIST_AFTER_ROTATION": True},
)

from rest_framework_simplejwt.views import TokenRefreshView  # noqa: E402 - Django has to be set up before

urlpatterns = [path("token/refresh/", TokenRefreshView.as_view())]
application = get_wsgi_application()

if __name__ == "__main__":
    from django.contrib.auth.models import User
    from rest_framework_simplejwt.tokens import RefreshToken

    call_command("migrate", verbosity=0)
    users = [User.objects.create_user(f"user-{number}") for number in range(int(sys.argv[1]))]
    print(json.dumps([str(RefreshToken.for_user(user)) for user in users]))
