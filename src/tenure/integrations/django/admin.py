"""The admin pages: list sessions, search them by user, end them, and read the audit trail. They never show a token, as
the database has none."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from tenure.core.errors import StoreUnavailable
from tenure.integrations.django.conf import tenure
from tenure.integrations.django.models import AuditEntry, Session


class _ReadOnly(admin.ModelAdmin):
    """Nothing can be added, changed or deleted."""

    list_display_links = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Only logging in adds sessions."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """There is nothing to change."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Verifiers would not hear of a deleted session, and the audit trail is complete."""
        return False


@admin.register(AuditEntry)
class AuditEntryAdmin(_ReadOnly):
    """Who logged in from where, and how sessions ended."""

    list_display = ("when", "subject", "kind", "reason", "by_whom", "address", "device")
    list_filter = ("kind", "reason")
    search_fields = ("subject", "address")
    search_help_text = "The user's primary key, or an address."
    ordering = ("-at",)


@admin.register(Session)
class SessionAdmin(_ReadOnly):
    """Sessions, which can be ended."""

    list_display = ("subject", "device", "client_id", "created", "last_used", "state")
    search_fields = ("subject", "device")
    search_help_text = "The user's primary key, or a part of the device's name."
    ordering = ("-rotated_at",)
    actions = ("end_sessions",)

    @admin.action(description="End the chosen sessions", permissions=["end"])
    def end_sessions(self, request: HttpRequest, chosen: QuerySet[Any]) -> None:
        """End sessions at once: their access tokens are refused, too."""
        ended = 0
        try:
            for session in chosen:
                ended += tenure().revoke(session.pk, reason="ended_by_admin", by=f"admin {request.user.pk}")
        except StoreUnavailable as problem:
            self.message_user(request, str(problem), messages.ERROR)
        self.message_user(request, f"{ended} sessions were ended.")

    def has_end_permission(self, request: HttpRequest) -> bool:
        """Who may delete sessions may end them."""
        return bool(request.user.has_perm("tenure.delete_session"))
