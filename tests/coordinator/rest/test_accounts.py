"""Who gets in, and who does not: tokens, sessions, roles, other sites' pages, guessing."""

import json
import time

import pytest

from fieldconf_coordinator.rest.server import ListenError, serving
from support.rest import PASSWORD, served


@pytest.fixture
def fleet(tmp_path):
    with served(tmp_path / "data") as fleet:
        yield fleet


@pytest.fixture
def admin(fleet):
    """A client with the token of an admin, after the first start."""
    admin = fleet.user("anna", "admin")
    fleet.headers = admin.headers
    return admin


# -- the first start


def test_first_token_makes_the_first_admin_and_ends_with_that(fleet):
    assert fleet.get("/session").data["first"] is True
    assert fleet.as_().get("/session").data["first"] is True

    assert fleet.post("/users", {"name": "a", "role": "admin", "password": PASSWORD}).status == 201

    assert fleet.get("/status").status == 401


def test_first_token_that_was_lost_is_replaced_at_the_next_start(tmp_path):
    with served(tmp_path) as fleet:
        first = fleet.headers
    with served(tmp_path) as fleet:
        assert fleet.get("/status").status == 200
        assert fleet.as_(**first).get("/status").status == 401
        fleet.user("anna", "admin")

    with served(tmp_path) as fleet:
        assert fleet.server.first_token is None


def test_owner_of_the_data_folder_gets_in(fleet):
    path = fleet.service.data / "endpoint.json"
    endpoint = json.loads(path.read_text())

    assert path.stat().st_mode & 0o777 == 0o600
    assert endpoint["url"] == fleet.url
    assert fleet.with_token(endpoint["token"]).get("/users").status == 200


# -- tokens


@pytest.mark.parametrize(
    "header",
    ["Bearer fc_wrong", "Bearer ", "Bearer", "Basic YTpi", "fc_x", "Bearer \xe9"],
    ids=["foreign", "empty", "bare", "other scheme", "no scheme", "odd bytes"],
)
def test_login_that_is_none_is_refused(fleet, header):
    answer = fleet.as_(Authorization=header).get("/status")

    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"


def test_expired_token_is_refused(admin, monkeypatch):
    made = admin.post("/tokens", {"name": "short", "days": 1}).data["token"]
    client = admin.with_token(made)
    assert client.get("/status").status == 200

    later = time.time() + 2 * 86_400
    monkeypatch.setattr("fieldconf_coordinator.rest.accounts.time.time", lambda: later)

    assert client.get("/status").error["message"] == "this token is unknown, revoked or expired"


def test_revoked_token_is_refused(admin):
    made = admin.post("/tokens", {"name": "gone"}).data
    admin.delete(f"/tokens/{made['id']}")

    assert admin.with_token(made["token"]).get("/status").status == 401


def test_token_has_at_most_the_role_of_its_user(fleet, admin):
    operator = fleet.user("otto", "operator")
    assert operator.post("/tokens", {"name": "more", "role": "admin"}).status == 403

    admin.patch("/users/otto", {"role": "viewer"})

    assert operator.get("/session").data["role"] == "viewer"


def test_token_goes_with_its_user(fleet, admin):
    operator = fleet.user("otto", "operator")
    admin.delete("/users/otto")

    assert operator.get("/status").status == 401


def test_tokens_of_others_are_seen_and_revoked_by_admins_only(fleet, admin):
    operator, viewer = fleet.user("otto", "operator"), fleet.user("vera", "viewer")
    (mine,) = operator.get("/tokens").data

    assert viewer.delete(f"/tokens/{mine['id']}").status == 404
    assert {row["user"] for row in admin.get("/tokens").data} >= {"otto", "vera", "anna"}
    assert admin.delete(f"/tokens/{mine['id']}").status == 200


def test_nothing_secret_is_stored_in_clear(fleet, admin):
    made = admin.post("/tokens", {"name": "build"}).data["token"]
    fleet.log_in("anna")

    for path in fleet.service.data.rglob("*"):
        if path.is_file() and path.name != "endpoint.json":
            content = path.read_bytes()
            assert made.encode() not in content
            assert PASSWORD.encode() not in content


# -- sessions


def test_session_survives_a_restart_and_ends_with_the_logout(tmp_path):
    with served(tmp_path) as fleet:
        fleet.user("anna", "admin")
        session = fleet.log_in("anna")
    with served(tmp_path) as fleet:
        session.url = fleet.url
        assert session.get("/session").data["user"] == "anna"
        session.delete("/session")
        assert session.get("/status").status == 401


def test_cookie_is_out_of_reach_of_scripts_and_other_sites(admin):
    answer = admin.as_().post("/session", {"user": "anna", "password": PASSWORD})

    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie


def test_session_changes_nothing_without_its_csrf_token(fleet, admin):
    session = fleet.log_in("anna")
    body = {"name": "eve", "role": "viewer", "password": PASSWORD}

    without = {"Cookie": session.headers["Cookie"]}
    assert fleet.as_(**without).post("/users", body).error["code"] == "bad-csrf"
    wrong = {**without, "X-CSRF-Token": "x"}
    assert fleet.as_(**wrong).post("/users", body).error["code"] == "bad-csrf"
    assert session.post("/users", body).status == 201


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}],
    ids=["other site", "sandboxed frame", "without origin"],
)
def test_page_of_another_site_changes_nothing(fleet, admin, headers):
    session = fleet.log_in("anna")

    answer = session.put("/applications/shop/wanted", {"wanted": "not-deployed"}, **headers)

    assert answer.error["code"] == "cross-site"


def test_new_password_ends_the_sessions(fleet, admin):
    session = fleet.log_in("anna")
    new = "battery staple horse"
    wrong = {"password": "wrong", "new_password": new}

    assert session.put("/session/password", wrong).error["code"] == "bad-login"
    assert session.put("/session/password", {**wrong, "password": PASSWORD}).status == 200
    assert session.get("/status").status == 401
    assert fleet.log_in("anna", new).get("/status").status == 200


def test_guessing_gets_slower(fleet, admin):
    guess = {"user": "anna", "password": "wrong"}
    for _ in range(5):
        assert fleet.as_().post("/session", guess).status == 401

    answer = fleet.as_().post("/session", {"user": "anna", "password": PASSWORD})

    assert answer.status == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 10


# -- users


def test_last_admin_stays(admin):
    assert admin.delete("/users/anna").error["message"] == "anna is the last admin"
    assert admin.patch("/users/anna", {"role": "viewer"}).status == 409


def test_edit_of_a_user_that_somebody_else_edited_is_refused(fleet, admin):
    admin.post("/users", {"name": "otto", "role": "viewer", "password": PASSWORD})
    tag = admin.get("/users/otto").headers["etag"]
    admin.patch("/users/otto", {"role": "operator"}, If_Match=tag)

    answer = admin.patch("/users/otto", {"role": "releaser"}, If_Match=tag)

    assert (answer.status, answer.error["where"]) == (412, "If-Match")
    assert admin.get("/users/otto").data["role"] == "operator"


# -- without a login


def test_dev_lets_in_whoever_asks_from_this_box(tmp_path):
    with served(tmp_path, dev=True) as fleet:
        assert fleet.get("/session").data == {
            "user": "dev", "role": "admin", "via": "dev", "csrf": "", "first": False,
        }  # fmt: skip
        assert fleet.get("/users").status == 200


def test_dev_lets_in_no_page_of_the_internet(tmp_path):
    with served(tmp_path, dev=True) as fleet:
        port = fleet.url.rpartition(":")[2]
        # Its name leads to this box, for a moment.
        assert fleet.get("/status", Host=f"evil.example:{port}").status == 401
        body = {"name": "eve", "role": "admin", "password": PASSWORD}
        assert fleet.post("/users", body, Origin="https://evil.example").status == 403


def test_dev_is_refused_where_others_can_ask(tmp_path):
    with served(tmp_path) as fleet:
        with pytest.raises(ListenError, match="for loopback only"):
            with serving(fleet.service, "0.0.0.0:0", dev=True):
                pass


def test_client_that_asks_too_often_has_to_wait(tmp_path):
    with served(tmp_path, per_s=5.0) as fleet:
        answers = [fleet.get("/settings") for _ in range(20)]

    refused = [answer for answer in answers if answer.status == 429]
    assert refused and refused[0].headers["retry-after"] == "1"
    assert [answer.status for answer in answers[:10]] == [200] * 10
