"""The service's own metrics come from a service that runs."""

from tests.api.conftest import _known_machine, live, models, settings_of

__all__ = ["_known_machine", "live", "models", "settings_of"]
