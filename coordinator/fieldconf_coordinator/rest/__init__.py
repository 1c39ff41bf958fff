"""The REST interface: one table of routes, short handlers, one envelope.

`table` lists every route with the least role that may use it; `app` turns the table into a WSGI
application: who asks, may they, is the body what it should be, then the handler, then the envelope.
Handlers (`routes_*`) decode, ask the service and wrap; they know nothing of HTTP but status codes.
`openapi` describes the same table, and a test goes through it route by route and role by role.
"""
