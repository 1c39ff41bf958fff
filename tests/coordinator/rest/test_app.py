"""The application behind the server, called as the server does."""

import io

import bottle

from fieldconf_coordinator.rest.app import make_app
from fieldconf_coordinator.rest.table import ROUTES
from support.rest import served


def test_a_thread_keeps_nothing_of_its_last_answer(tmp_path):
    with served(tmp_path, dev=True) as fleet:
        app = make_app(fleet.server.rest, ROUTES)
        environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": "/api/v1/openapi.json",
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.input": io.BytesIO(),
        }

        answer = app(environ, lambda *_: None)

        assert len(b"".join(answer)) > 10_000
        assert not bottle.response.body
