"""The protocol of the socket: which clients are accepted, and which frames are refused."""

import pytest
from django.test import Client

from airy.asgi import gate
from airy.gate.proxies import Proxies
from feeds.models import User
from notifications.live import rounds
from notifications.live.frames import MalformedFrameError, number
from notifications.models import Stream
from notifications.push.registry import open_sockets
from tests.support.api_client import PASSWORD, signed_up
from tests.support.factories import UserFactory


def test_a_visitor_is_accepted_and_closed_with_the_code_for_it(server):
    assert server.connect().hear_close() == 4401


def test_a_session_that_does_not_exist_is_not_signed_in(server):
    assert server.connect(cookie="sessionid=invented").hear_close() == 4401


def test_a_banned_user_is_closed_with_the_code_for_it(server):
    client = Client()
    client.force_login(user := UserFactory())
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert server.connect(client=client).hear_close() == 4403


ELSEWHERE = ["https://evil.example", "http://testserver:8001", "https://testserver", "null", "http://["]


@pytest.mark.parametrize("hosts", [["testserver"], ["*"]])
@pytest.mark.parametrize("origin", ELSEWHERE)
def test_a_page_of_another_site_port_or_scheme_is_refused(server, settings, hosts, origin):
    settings.ALLOWED_HOSTS = hosts
    client = Client()
    client.force_login(UserFactory())
    assert server.open(client, origin=origin).next()["type"] == "websocket.close"


def test_a_host_that_is_not_allowed_is_refused(server):
    refused = server.open(origin="http://evil.example", host="evil.example").next()
    assert refused["type"] == "websocket.close"


def test_a_trusted_site_is_accepted(server, settings):
    settings.CSRF_TRUSTED_ORIGINS = ["https://friend.example"]
    assert server.connect(origin="https://friend.example").hear_close() == 4401


def test_behind_a_proxy_the_scheme_is_the_one_that_the_browser_used(server, monkeypatch):
    monkeypatch.setattr(gate, "_proxies", Proxies(["unix"]))
    forwarded = {"x-forwarded-proto": "https"}
    assert server.connect(origin="https://testserver", **forwarded).hear_close() == 4401
    assert server.open(origin="http://testserver", **forwarded).next()["type"] == "websocket.close"


def test_a_program_without_an_origin_is_accepted_by_its_session(server):
    assert server.connect(origin=None).hear_close() == 4401
    client = Client()
    client.force_login(UserFactory())
    assert server.connect(client=client, origin=None).hello()[-1]["op"] == "ready"


def test_signing_out_closes_the_sockets_of_that_session_alone(server):
    user, here, there = UserFactory(), Client(), Client()
    here.force_login(user)
    there.force_login(user)
    tab, other = server.connect(client=here), server.connect(client=there)
    tab.hello()
    other.hello()
    here.logout()
    assert tab.hear_close() == 4401
    other.assert_nothing_heard()


@pytest.mark.parametrize(
    "way", ["/settings/sessions", "/api/sessions", "/settings/sessions/{id}", "/api/sessions/{id}"]
)
def test_a_session_ended_from_another_closes_its_sockets(server, way):
    user, here, there = UserFactory(), Client(), Client()
    here.force_login(user)
    there.force_login(user)
    tab, other = server.connect(client=here), server.connect(client=there)
    tab.hello()
    other.hello()
    address = way.format(id=user.sessions.get(session_key=there.session.session_key).pk)
    ended = here.delete(address) if way.startswith("/api") else here.post(address)
    assert ended.status_code in {204, 302}
    assert other.hear_close() == 4401
    tab.assert_nothing_heard()


@pytest.mark.parametrize("path", ["/settings/password", "/api/me"])
def test_a_new_password_closes_the_sockets_of_other_sessions_and_drains_its_own(server, path):
    user, here, there = signed_up("alice"), Client(), Client()
    here.force_login(user)
    there.force_login(user)
    tab, other, stranger = server.connect(client=here), server.connect(client=there), server.connect(UserFactory())
    for one in (tab, other, stranger):
        one.hello()
    if path == "/api/me":
        wanted = {"password": "another horse 2", "current_password": PASSWORD}
        assert here.patch(path, wanted, content_type="application/json").status_code == 200
    else:
        wanted = {"password-password": "another horse 2", "password-current": PASSWORD}
        assert here.post(path, wanted).status_code == 302
    assert other.hear_close() == 4401
    assert tab.hear()["op"] == "drain"
    assert tab.hear_close() == 1012
    assert server.connect(client=here).hello()[-1]["op"] == "ready"
    stranger.assert_nothing_heard()


def test_a_password_set_by_another_user_closes_all_sockets_of_the_user(server):
    user = UserFactory()
    tabs = [server.connect(user) for _ in range(2)]
    for tab in tabs:
        tab.hello()
    user.email = "new@example.org"
    user.save()
    for tab in tabs:
        tab.assert_nothing_heard()
    user.set_password(PASSWORD)
    user.save()
    assert [tab.hear_close() for tab in tabs] == [4401, 4401]


def test_a_ban_closes_all_sockets_of_the_user(server):
    user = UserFactory()
    tabs = [server.connect(user) for _ in range(2)]
    for tab in tabs:
        tab.hello()
    user.is_active = False
    user.save()
    assert [tab.hear_close() for tab in tabs] == [4403, 4403]


def test_a_ban_without_a_signal_is_found_by_the_round(server):
    user = UserFactory()
    tab = server.connect(user)
    tab.hello()
    User.objects.filter(pk=user.pk).update(is_active=False)
    server.run(rounds.make_round())
    assert tab.hear_close() == 4403


def test_an_ended_session_is_found_by_the_round(server):
    client = Client()
    client.force_login(UserFactory())
    tab = server.connect(client=client)
    tab.hello()
    client.session.flush()
    for socket in open_sockets:
        socket.checked = -1000.0
    server.run(rounds.make_round())
    assert tab.hear_close() == 4401


def test_a_bad_frame_is_answered_with_its_error_code(server):
    user = UserFactory()
    for frames in (BAD_FRAMES[:2], BAD_FRAMES[2:4], BAD_FRAMES[4:6], BAD_FRAMES[6:8], BAD_FRAMES[8:]):
        tab = server.connect(user)
        tab.hello()
        for raw, code in frames:
            tab.send(**raw)
            error = tab.hear()
            assert (error["op"], error["code"]) == ("error", code), raw
        tab.assert_nothing_heard()


BAD_FRAMES = [
    ({"text": "no json"}, "bad_json"),
    ({"text": "[1]"}, "bad_json"),
    ({"text": '{"op": 7}'}, "bad_json"),
    ({"text": "[" * 2000}, "bad_json"),
    ({"bytes": b"{}"}, "bad_json"),
    ({"text": '{"op": "' + "x" * 5000 + '"}'}, "too_large"),
    ({"text": '{"op": "dance", "id": 3}'}, "bad_op"),
    ({"text": '{"op": "read", "upto": "all"}'}, "bad_op"),
    ({"text": '{"op": "read", "upto": -1}'}, "bad_op"),
    ({"text": '{"op": "watch", "post_id": true}'}, "bad_op"),
]


@pytest.mark.parametrize("id", [0, -7, 2**63 - 1, "", "shown", "第一", "x" * 64])
def test_an_answer_repeats_the_id_of_its_frame(server, id):
    tab = server.connect(UserFactory())
    tab.hello()
    tab.say("dance", id=id)
    assert tab.hear() == {"op": "error", "code": "bad_op", "id": id}
    tab.say("read", upto=0, id=id)
    assert tab.hear() == {"op": "ack", "id": id}


@pytest.mark.parametrize(
    "id", [None, True, 1.5, 2**63, -(10**1000), "x" * 65, "\ud800", "a\0b", [1], {"a": [{}]}], ids=repr
)
def test_an_id_of_another_form_is_not_repeated(server, id):
    tab = server.connect(UserFactory())
    tab.hello()
    tab.say("dance", id=id)
    assert tab.hear() == {"op": "error", "code": "bad_op", "id": None}
    tab.say("read", upto="all", id=id)
    assert tab.hear() == {"op": "error", "code": "bad_op", "id": None}
    tab.say("read", upto=0, id=id)
    assert tab.hear() == {"op": "ack", "id": None}


@pytest.mark.parametrize("value", [None, "1", -1, True, 1.5, 2**63, [1]])
def test_a_number_is_a_whole_number_that_the_database_can_hold(value):
    with pytest.raises(MalformedFrameError, match="bad_op"):
        number({"upto": value}, "upto")


def test_the_third_malformed_frame_closes_the_socket(server):
    tab = server.connect(UserFactory())
    tab.hello()
    for _ in range(3):
        tab.send(text="{")
        assert tab.hear()["code"] == "bad_json"
    assert tab.hear_close() == 4400


def test_a_page_of_another_user_is_closed_as_not_signed_in(server):
    user, other = UserFactory(), UserFactory()
    for page_of, code in ((user, None), (other, 4401)):
        client = Client()
        client.force_login(user)
        tab = server.connect(client=client)
        tab.say(op="hello", v=1, user=page_of.pk, last_seq=None)
        if code is None:
            assert tab.hear()["op"] == "ready"
        else:
            assert tab.hear_close() == code


@pytest.mark.parametrize("frame", [{"op": "read", "upto": 1}, {"op": "hello", "v": 2}, {"op": "watch", "post_id": 1}])
def test_a_client_that_does_not_begin_with_hello_is_closed(server, frame):
    tab = server.connect(UserFactory())
    tab.say(**frame)
    assert tab.hear_close() == 4400


def test_too_many_frames_close_the_socket(server):
    tab = server.connect(UserFactory())
    tab.hello()
    for _ in range(10):
        tab.say("ping")
    assert [tab.hear()["op"] for _ in range(9)] == ["pong"] * 9
    assert tab.hear() == {"op": "error", "code": "rate_limited", "id": None}
    assert tab.hear_close() == 4429


def test_a_page_may_watch_all_of_its_posts_at_once(server):
    tab = server.connect(UserFactory())
    tab.hello()
    for post_id in range(50):
        tab.say("watch", post_id=post_id)
    tab.assert_nothing_heard()


def test_reading_beyond_the_end_reads_to_the_end(server):
    user = UserFactory()
    tab = server.connect(user)
    tab.hello()
    tab.say("read", upto=50, id=1)
    assert tab.hear() == {"op": "ack", "id": 1}
    assert Stream.objects.get(user=user).read_upto == 0
