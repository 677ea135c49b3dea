"""The admin pages: sessions to be listed, searched by user, and ended. Never a token: the database has none."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from tenure.http.django.conf import tenure
from tenure.http.django.models import Session


@admin.register(Session)
class SessionAdmin(admin.ModelAdmin):
    """Nothing here can be changed; a session can be ended."""

    list_display = ("subject", "device", "client_id", "created", "last_used", "state")
    list_display_links = None
    search_fields = ("subject", "device")
    search_help_text = "The user's primary key, or a part of the device's name."
    ordering = ("-rotated_at",)
    actions = ("end_sessions",)

    @admin.action(description="End the chosen sessions", permissions=["end"])
    def end_sessions(self, request: HttpRequest, chosen: QuerySet[Any]) -> None:
        """End sessions, at once: their access tokens are refused, too."""
        ended = sum(
            tenure().revoke(session.pk, reason="ended_by_admin", by=f"admin {request.user.pk}") for session in chosen
        )
        self.message_user(request, f"{ended} sessions were ended.")

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """Sessions are made by logging in."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """There is nothing to be changed."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Ending is all: a deleted row would not be told to those who check access tokens."""
        return False

    def has_end_permission(self, request: HttpRequest) -> bool:
        """Who may delete sessions may end them."""
        return bool(request.user.has_perm("tenure.delete_session"))
