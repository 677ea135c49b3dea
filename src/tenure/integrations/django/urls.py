"""The endpoints: `path("", include("tenure.integrations.django.urls"))`, or below any other path."""

from django.conf import settings
from django.urls import path

from tenure.http.service import PREFIX
from tenure.integrations.django.views import Endpoints
from tenure.integrations.embedded import own_endpoints

app_name = "tenure"
_prefix = getattr(settings, "TENURE", {}).get("PREFIX", PREFIX)
urlpatterns = [
    path(address.lstrip("/").replace("{id}", "<str:id>"), Endpoints(endpoints), name=address)
    for address, endpoints in own_endpoints(login=True, prefix=_prefix).items()
]
