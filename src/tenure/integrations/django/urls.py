"""The endpoints: `path("", include("tenure.integrations.django.urls"))`, or below any other path."""

from django.conf import settings
from django.urls import path

from tenure.http.service import PREFIX
from tenure.integrations.django.views import Endpoints
from tenure.integrations.embedded import own_endpoints

app_name = "tenure"
_given = getattr(settings, "TENURE", None)
_prefix = _given.get("PREFIX", PREFIX) if isinstance(_given, dict) else PREFIX  # the checks say what is wrong with it
urlpatterns = [
    path(address.lstrip("/").replace("{id}", "<str:id>"), Endpoints(endpoints), name=address)
    for address, endpoints in own_endpoints(login=True, prefix=_prefix).items()
]
