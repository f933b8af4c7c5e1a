"""What the code knows: its variables, its ports, its paths."""

from functools import cache
from typing import Final

from pydantic_settings import BaseSettings
from starlette.routing import Route

from deploy.local.config import DEFAULT_PORTS
from services.intake.app import Settings as IntakeSettings
from services.notifier.app import Settings as NotifierSettings
from services.notifier.app import build as build_notifier
from services.rules.app import RulesSettings
from shared.command import Migrating
from shared.settings import FOLDER

SETTINGS: Final[dict[str, type[BaseSettings]]] = {
    "intake": IntakeSettings,
    "rules": RulesSettings,
    "notifier": NotifierSettings,
}
PORTS: Final = {name: DEFAULT_PORTS[name] for name in SETTINGS}
BESIDE: Final = frozenset({FOLDER, "PGSSLMODE", "PGSSLROOTCERT", "SSL_CERT_FILE"})
"""What is read beside the settings: by `shared.settings`, asyncpg and `shared.postgres`, and by ssl."""


def known(settings: type[BaseSettings]) -> frozenset[str]:
    """Return the variables that a process reads."""
    return frozenset(name.upper() for name in settings.model_fields) | BESIDE


def required(settings: type[BaseSettings]) -> frozenset[str]:
    """Return the variables without which it does not start."""
    return frozenset(name.upper() for name, field in settings.model_fields.items() if field.is_required())


def settings_of(workload: str) -> type[BaseSettings]:
    """Return what a service, or its migration, is told."""
    return SETTINGS.get(workload, Migrating)


@cache
def paths() -> frozenset[str]:
    """Return the paths that services answer for operations."""
    return frozenset(route.path for route in build_notifier().routes if isinstance(route, Route))
