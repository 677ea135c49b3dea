"""The views and addresses of the example with Django."""

from django.contrib import admin
from django.db import transaction
from django.http import JsonResponse
from django.urls import include, path
from rest_framework.decorators import api_view, permission_classes
from rest_framework.response import Response

from tenure.integrations.django.rest_framework import recent
from tenure.integrations.django.simplejwt.views import token_refresh
from tenure.integrations.django.views import session_required

NOTES: dict[str, list[str]] = {}


def claims(user):
    return {"roles": ["staff"] if user.is_staff else []}


@api_view(["GET", "POST"])
def notes(request):
    written = NOTES.setdefault(request.user.get_username(), [])
    if request.method == "POST":
        written.append(request.data["text"])
    return Response(written)


@api_view(["PUT"])
@permission_classes([recent(minutes=5)])  # whoever logged in longer ago is asked for the password first
def change_mail(request):
    request.user.email = request.data["address"]
    request.user.save(update_fields=["email"])
    return Response({"address": request.user.email})


@api_view(["DELETE"])
@permission_classes([recent(minutes=5)])
def forget(request):
    return Response(len(NOTES.pop(request.user.get_username(), [])))


@session_required(role="staff")
def statistics(request):
    return JsonResponse({user: len(written) for user, written in NOTES.items()})


@transaction.non_atomic_requests  # Django runs no async view in a transaction
@session_required
async def whoami(request):
    return JsonResponse({"subject": request.tenure_session.subject})


urlpatterns = [
    path("", include("tenure.integrations.django.urls")),
    path("admin/", admin.site.urls),
    path("notes", notes),
    path("notes/forget", forget),
    path("mail", change_mail),
    path("statistics", statistics),
    path("whoami", whoami),
    path("api/token/refresh/", token_refresh),  # for front ends that still speak as with simplejwt
]
