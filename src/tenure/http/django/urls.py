"""The endpoints: `path("", include("tenure.http.django.urls"))`. They are below /auth/, where the cookie goes."""

from django.urls import path

from tenure.http.django.views import Endpoints
from tenure.http.embedded import own_endpoints

app_name = "tenure"
urlpatterns = [
    path(address.lstrip("/").replace("{id}", "<str:id>"), Endpoints(endpoints))
    for address, endpoints in own_endpoints(login=True).items()
]
