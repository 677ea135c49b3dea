"""The endpoints: `path("", include("tenure.http.django.urls"))`, or below any other path."""

from django.conf import settings
from django.urls import path

from tenure.http.django.views import Endpoints
from tenure.http.embedded import own_endpoints
from tenure.http.service import PREFIX

app_name = "tenure"
_prefix = getattr(settings, "TENURE", {}).get("PREFIX", PREFIX)
urlpatterns = [
    path(address.lstrip("/").replace("{id}", "<str:id>"), Endpoints(endpoints), name=address)
    for address, endpoints in own_endpoints(login=True, prefix=_prefix).items()
]
