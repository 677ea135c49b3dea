"""The complaints are tried on the same service as the clients."""

from tests.client.conftest import _no_pauses, live, make_live

__all__ = ["_no_pauses", "live", "make_live"]
