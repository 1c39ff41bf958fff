"""Answers as they look, for the OpenAPI document: operation → example of `data`.

The tests hold them against the schemas of the routes.
"""

from typing import Any

_NODE: dict[str, Any] = {
    "id": "njnvepg3c0",
    "application": "shop",
    "path": "/web-vm1",
    "board": "",
    "target": "local",
    "phase": "up",
    "online": True,
    "since": None,
    "want": 1,
    "have": 1,
    "enrolled": False,
    "enrolment": 1,
    "boot": 3,
    "address": "10.0.0.7",
    "agent": "0.1.0",
    "platform": "linux aarch64, CPython 3.11.2",
    "memory": 412000000,
    "installers": ["logger", "script"],
    "simulates": False,
    "reset": None,
    "tags": ["outdoor", "site=north"],
    "refused": None,
    "duplicate": None,
    "heard": 1795404893258,
}

ANSWERS: dict[str, Any] = {
    "overview": {
        "fleet": "f67820ba87",
        "broker": {"url": "mqtt://127.0.0.1:1883", "connected": True},
        "applications": 1,
        "instances": {"total": 8, "settled": 7, "problems": 0},
        "nodes": {"total": 4, "online": 4},
        "changes": 1,
        "unknown": [],
        "disk": None,
        "dropped": {},
    },
    "list_nodes": [_NODE],
    "describe_node": {**_NODE, "instances": ["/web-vm1", "/web-vm1/web"]},
    "list_changes": [
        {
            "id": "7",
            "application": "shop",
            "text": "deploy web-cluster 1.1",
            "outcome": "running",
            "done": 3,
            "total": 8,
            "started": 1795404893258,
            "ended": None,
        }
    ],
    "describe_change": {
        "id": "7",
        "application": "shop",
        "text": "deploy web-cluster 1.1",
        "outcome": "running",
        "done": 3,
        "total": 8,
        "started": 1795404893258,
        "ended": None,
        "steps": [
            {
                "path": "/web-vm1/web",
                "wish": "deployed-started",
                "state": "starting",
                "problem": None,
                "done": False,
            }
        ],
    },
    "list_events": [
        {
            "id": 2,
            "at": 1795404893258,
            "kind": "change",
            "application": "shop",
            "path": "",
            "node": "",
            "text": "deploy web-cluster 1.0: done",
        }
    ],
    "list_applications": [
        {
            "id": "k3v80dmm",
            "name": "shop",
            "template": "web-cluster",
            "version": "1.0",
            "ref": "0c9e4f1b7a5227fff367374748fc7fe2",
            "target": "local",
            "simulate": False,
            "bindings": {},
            "exports_prefix": None,
            "external": [],
            "created": 1795404893258,
            "revision": 49,
            "instances": {
                "total": 8,
                "settled": 7,
                "problems": 0,
                "states": {"deployed-started": 7, "starting": 1},
            },
        }
    ],
    "describe_application": {
        "id": "k3v80dmm",
        "name": "shop",
        "template": "web-cluster",
        "version": "1.0",
        "ref": "0c9e4f1b7a5227fff367374748fc7fe2",
        "target": "local",
        "simulate": False,
        "bindings": {},
        "exports_prefix": None,
        "external": [],
        "created": 1795404893258,
        "revision": 49,
        "instances": {
            "total": 8,
            "settled": 7,
            "problems": 0,
            "states": {"deployed-started": 7, "starting": 1},
        },
        "description": "The shop of the north",
    },
    "describe_graph": [
        {
            "name": "Data",
            "installer": "script",
            "exports": ["Data"],
            "imports": [],
            "children": [],
            "parents": ["VM"],
            "facets": [],
            "extends": None,
            "note": "Counts visits, and remembers the count.",
        }
    ],
    "read_logs": [
        {
            "at": 1795404893258,
            "path": "/web-vm1/web",
            "step": "start",
            "text": "listening on 10002\n",
        }
    ],
    "list_instances": [
        {
            "path": "/web-vm1/web",
            "component": "Web",
            "state": "deployed-started",
            "wish": "deployed-started",
            "settled": True,
            "problem": None,
            "node": "njnvepg3c0",
            "online": True,
            "address": "10.0.0.7",
            "missing": [],
            "leaving": False,
            "installer": "script",
            "exports": {"Web.ip": "10.0.0.7", "Web.port": "10002"},
        }
    ],
    "describe_instance": {
        "path": "/web-vm1/web",
        "component": "Web",
        "state": "deployed-started",
        "wish": "deployed-started",
        "settled": True,
        "problem": None,
        "node": "njnvepg3c0",
        "online": True,
        "address": "10.0.0.7",
        "missing": [],
        "leaving": False,
        "installer": "script",
        "exports": {"Web.ip": "10.0.0.7", "Web.port": "10002"},
        "application": "shop",
        "parent": "/web-vm1",
        "children": [],
        "data": {},
        "added": False,
        "reported": "deployed-started",
        "imports": [
            {
                "prefix": "Data",
                "names": ["ip", "port"],
                "mandatory": True,
                "external": False,
                "missing": False,
                "providers": [
                    {"application": "shop", "path": "/data-vm/data", "state": "deployed-started"}
                ],
                "total": 1,
            }
        ],
    },
    "list_templates": [
        {
            "id": "0c9e4f1b7a5227fff367374748fc7fe2",
            "name": "web-cluster",
            "version": "1.0",
            "description": "A load balancer, two web servers, and a data service that they read",
            "tags": [],
            "uploaded": 1795404893258,
            "by": "anna",
            "warnings": [],
            "applications": ["shop"],
        }
    ],
    "describe_template": {
        "id": "0c9e4f1b7a5227fff367374748fc7fe2",
        "name": "web-cluster",
        "version": "1.0",
        "description": "A load balancer, two web servers, and a data service that they read",
        "tags": [],
        "uploaded": 1795404893258,
        "by": "anna",
        "warnings": [],
        "applications": ["shop"],
    },
    "report_template": [
        {
            "code": "RM_ORPHAN_FACET",
            "severity": "warning",
            "file": "graph/main.graph",
            "line": 29,
            "column": 7,
            "message": "no component has the facet 'Orphan'; use it or remove it",
            "text": "graph/main.graph:29:7: RM_ORPHAN_FACET: no component has the facet 'Orphan'; "
            "use it or remove it\n    facet Orphan {\n          ~~~~~^",
        }
    ],
    "list_handlers": [
        {
            "handler": "memory",
            "settings": [
                {"name": "installers", "help": "those that its nodes have", "default": ""}
            ],
        }
    ],
    "list_targets": [
        {
            "id": "bench",
            "handler": "memory",
            "name": "bench",
            "description": "",
            "properties": {},
            "hints": {"applications": [], "templates": ["web-cluster"]},
            "uses": ["template web-cluster @VM"],
            "built_in": False,
        }
    ],
    "describe_target": {
        "id": "bench",
        "handler": "memory",
        "name": "bench",
        "description": "",
        "properties": {},
        "hints": {"applications": [], "templates": ["web-cluster"]},
        "uses": ["template web-cluster @VM"],
        "built_in": False,
    },
    "describe_session": {
        "user": "anna",
        "role": "admin",
        "via": "token",
        "csrf": "",
        "first": False,
    },
    "list_users": [{"name": "anna", "role": "admin", "created": 1795404893258}],
    "describe_user": {"name": "anna", "role": "admin", "created": 1795404893258},
    "list_tokens": [
        {
            "id": "b83dd08c0cbe",
            "name": "the build",
            "user": "anna",
            "role": "admin",
            "created": 1795404893258,
            "expires": None,
        }
    ],
    "describe_settings": {
        "version": "0.1.0",
        "fleet": "f67820ba87",
        "domain": "fc",
        "target": "local",
        "broker": "mqtt://127.0.0.1:1883",
        "keepalive_s": 60,
        "dev": False,
        "tls": False,
        "roles": ["viewer", "operator", "releaser", "admin"],
        "limits": {
            "body_bytes": 1048576,
            "upload_bytes": 67108864,
            "requests_per_s": 200.0,
            "listeners": 1000,
            "session_s": 604800,
        },
    },
    "list_placed_for_template": [{"element": "@VM", "target": "bench"}],
    "health": {"status": "ok"},
    "readiness": {"status": "ready"},
}
