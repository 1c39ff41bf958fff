"""The table of all routes."""

from . import (
    routes_accounts,
    routes_applications,
    routes_fleet,
    routes_instances,
    routes_nodes,
    routes_targets,
    routes_templates,
)
from .routes import Route

ROUTES: list[Route] = [
    *routes_fleet.ROUTES,
    *routes_nodes.ROUTES,
    *routes_applications.ROUTES,
    *routes_instances.ROUTES,
    *routes_templates.ROUTES,
    *routes_targets.ROUTES,
    *routes_accounts.ROUTES,
]
