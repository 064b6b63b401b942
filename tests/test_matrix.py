"""The matrix: what each kind of person gets from each page and each operation. A route without a rule fails."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from django.contrib.admin import site
from django.contrib.auth.models import Group
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from events.testing import deliver
from tests.support.api_client import PASSWORD
from tests.support.asked import (
    ASKED,
    HIDDEN,
    REFUSED,
    SIGN_IN,
    YES,
    admin_pages,
    filled,
    operations,
    pages,
    undone,
)
from tests.support.factories import FollowFactory, VoteFactory
from tests.support.factors import with_factor
from tests.support.people import KINDS, TOKENS, People

pytestmark = pytest.mark.home

Rule = Mapping[str, str]
Ask = Callable[[str], Any]


def rule(others: str, **kinds: str) -> Rule:
    """What each kind gets. In a page nobody is signed in after a ban."""
    return dict.fromkeys(KINDS, others) | kinds


OPEN = rule(YES)
SIGNED_IN = rule(YES, visitor=SIGN_IN, banned=SIGN_IN)
NOBODY = rule(HIDDEN)
APART = {"blocked": HIDDEN, "blocker": HIDDEN}
#: A block in either direction: a text is not there to be read or changed; what one would do towards its author is
#: refused with the reason.
READ = rule(YES, **APART)
TOUCHED = SIGNED_IN | {"blocked": REFUSED, "blocker": REFUSED}
AUTHOR = SIGNED_IN | dict.fromkeys(("stranger", "muter", "owner", "staff", "superuser"), REFUSED) | APART
AUTHOR_OR_MODERATOR = AUTHOR | dict.fromkeys(("owner", "staff", "superuser"), YES)
MODERATOR = SIGNED_IN | dict.fromkeys(("stranger", "author", "blocked", "blocker", "muter"), HIDDEN)
#: A row of the author alone: for others it is not there.
OWN = rule(HIDDEN, visitor=SIGN_IN, banned=SIGN_IN, author=YES)
#: Nobody follows, blocks or mutes themselves.
ONESELF = {"author": ASKED}
#: None of them has turned a second factor on.
NO_FACTOR = rule(HIDDEN, visitor=SIGN_IN, banned=SIGN_IN)

PAGES: dict[str, Rule] = {
    **dict.fromkeys(
        (
            *("GET feeds:home", "POST feeds:home", "GET feeds:search", "POST feeds:search"),
            *("GET feeds:circles", "POST feeds:circles", "GET feeds:circle", "POST feeds:circle"),
            *("GET feeds:person", "POST feeds:person"),
            *("GET feeds:register", "POST feeds:register", "GET feeds:login", "POST feeds:login"),
            *("GET feeds:logout", "POST feeds:logout"),
            *("GET feeds:forgotten_password", "POST feeds:forgotten_password", "GET feeds:letter_sent"),
            *("GET feeds:new_password", "POST feeds:new_password"),  # says that this link has ended
            *("GET set_language", "POST set_language"),
            *("GET /healthz", "GET /readyz", "GET /metrics", "GET /api/docs", "GET /api/openapi.json"),
        ),
        OPEN,
    ),
    **dict.fromkeys(("GET feeds:confirm_email", "POST feeds:confirm_email"), NOBODY),  # not a link of a letter
    **dict.fromkeys(("GET feeds:second_step", "POST feeds:second_step"), rule(SIGN_IN)),  # before the password
    **dict.fromkeys(("GET feeds:post", "POST feeds:post", "GET feeds:comment", "POST feeds:comment"), READ),
    **dict.fromkeys(("GET feeds:edit_post", "POST feeds:edit_post"), AUTHOR),
    **dict.fromkeys(("GET feeds:delete_post", "POST feeds:delete_post"), AUTHOR_OR_MODERATOR),
    **dict.fromkeys(("GET feeds:edit_comment", "POST feeds:edit_comment"), AUTHOR),
    **dict.fromkeys(("GET feeds:delete_comment", "POST feeds:delete_comment"), AUTHOR_OR_MODERATOR),
    **dict.fromkeys(("GET feeds:restore_post", "POST feeds:restore_post", "POST feeds:restore_comment"), MODERATOR),
    **dict.fromkeys(("POST feeds:vote_on_post", "POST feeds:vote_on_comment", "POST feeds:comments"), TOUCHED),
    **dict.fromkeys(
        (
            *("GET feeds:drafts", "POST feeds:drafts", "GET feeds:new_post", "POST feeds:new_post"),
            "GET feeds:comments",  # leads to the page of the post
            *("GET feeds:new_circle", "POST feeds:new_circle", "POST feeds:membership", "POST feeds:tie"),
            *("GET feeds:settings", "POST feeds:settings", "POST feeds:account", "POST feeds:send_confirmation"),
            *("GET feeds:factor", "POST feeds:begin_factor", "POST feeds:cancel_factor", "POST feeds:turn_on_factor"),
            *("POST feeds:turn_off_factor", "POST feeds:password", "POST feeds:new_token"),
            *("POST feeds:end_other_sessions", "POST feeds:leave", "GET export"),
            *("GET notifications:list", "POST notifications:list", "POST notifications:read"),
        ),
        SIGNED_IN,
    ),
    "POST feeds:renew_codes": NO_FACTOR,
    **dict.fromkeys(("POST feeds:revoke_token", "POST feeds:end_session"), OWN),
}
FORM = {
    "title": "Title",
    "body": "Words.",
    "content": "An answer.",
    "vote_type": "up",
    "verb": "mute",
    "username": "newcomer",
    "email": "newcomer@example.org",
    "password": "correct horse 22",
    "password-password": "correct horse 22",
    "token-name": "script",
    "token-scopes": "read",
    "token-expires": "30",
    "leaving-texts": "keep",
    "slug": "dogs",
    "name": "Dogs",
    "language": "en",
    "upto": "0",
} | dict.fromkeys(
    ("current", "password-current", "leaving-current", "begin-current", "off-current", "renew-current"), PASSWORD
)
#: Leads to the page of the post, whatever there is.
LEADS_ELSEWHERE = {"GET feeds:comments"}
#: The admin's pages of models; those of all the staff; the sign-in, which sends who may not enter away; the sign-out.
MODELS = rule(SIGN_IN, staff=REFUSED, superuser=YES)
STAFF = rule(SIGN_IN, staff=YES, superuser=YES)
ADMIN_SIGN_IN = rule(REFUSED, visitor=SIGN_IN, banned=SIGN_IN, staff=YES, superuser=YES)
ADMIN = {
    **dict.fromkeys(("admin:index", "admin:jsi18n", "admin/password_change/", "admin:password_change_done"), STAFF),
    "admin:password_change": STAFF,
    **dict.fromkeys(("admin:login", "admin/login/"), ADMIN_SIGN_IN),
    "admin:logout": rule(YES),
    "admin:app_list": rule(SIGN_IN, staff=HIDDEN, superuser=YES),
    **dict.fromkeys(("admin:view_on_site", "admin/(?P<url>.*)$"), rule(SIGN_IN, staff=HIDDEN, superuser=HIDDEN)),
}
#: Lead away from a row that is not there.
ADMIN_LEADS_AWAY = re.compile("_history$|<path:object_id>/$")
#: What a superuser may do with the rows of each model in the admin; with those of all others nothing but look.
WRITES = {
    **dict.fromkeys(("user", "post", "comment", "vote", "follow", "membership", "block", "mute"), "add change delete"),
    "circle": "add change",
    **dict.fromkeys(("apitoken", "usersession"), "change delete"),
    "secondfactor": "delete",
    "notification": "delete",
    "group": "add change delete",
}

#: In the API a banned user hears of the ban. A token of the author does what the author may; to read, GET alone.
BANNED = {"banned": REFUSED}


def by_token(of: Rule, **tokens: str) -> Rule:
    return of | {"script": of["author"], "reader": of["author"]} | tokens


def api_read(of: Rule) -> Rule:
    return by_token(of | BANNED)


def api_write(of: Rule) -> Rule:
    return by_token(of | BANNED, reader=REFUSED)


def session_only(of: Rule) -> Rule:
    return by_token(of | BANNED, script=REFUSED, reader=REFUSED)


P, C, U = "/api/posts/{post_id}", "/api/comments/{comment_id}", "/api/users/{username}"
OPERATIONS: dict[str, Rule] = {
    **dict.fromkeys(("POST /api/register", "POST /api/login"), by_token(OPEN)),
    **dict.fromkeys(
        ("GET /api/posts", "GET /api/circles", "GET /api/circles/{slug}", "GET /api/search", f"GET {U}"),
        api_read(OPEN),
    ),
    **dict.fromkeys((f"GET {P}", f"GET {P}/comments"), api_read(READ)),
    **dict.fromkeys(("GET /api/feed", "GET /api/notifications", "GET /api/me"), api_read(SIGNED_IN)),
    **dict.fromkeys(
        (
            *("POST /api/posts", "POST /api/circles", "POST /api/notifications/read"),
            *("PUT /api/circles/{slug}/membership", "DELETE /api/circles/{slug}/membership"),
            *(f"DELETE {P}/vote", f"DELETE {C}/vote"),
            *(f"DELETE {U}/{tie}" for tie in ("follow", "block", "mute")),
        ),
        api_write(SIGNED_IN),
    ),
    **dict.fromkeys((f"PUT {U}/block", f"PUT {U}/mute"), api_write(SIGNED_IN | ONESELF)),
    f"PUT {U}/follow": api_write(TOUCHED | ONESELF),
    **dict.fromkeys((f"PUT {P}/vote", f"PUT {C}/vote", f"POST {P}/comments"), api_write(TOUCHED)),
    **dict.fromkeys((f"PATCH {P}", f"PATCH {C}"), api_write(AUTHOR)),
    **dict.fromkeys((f"DELETE {P}", f"DELETE {C}"), api_write(AUTHOR_OR_MODERATOR)),
    **dict.fromkeys((f"POST {P}/restore", f"POST {C}/restore"), api_write(MODERATOR)),
    **dict.fromkeys(
        (
            *("POST /api/logout", "PATCH /api/me", "DELETE /api/me", "GET /api/me/export"),
            *("GET /api/me/factor", "POST /api/me/factor", "DELETE /api/me/factor"),
            *("GET /api/tokens", "POST /api/tokens", "GET /api/sessions", "DELETE /api/sessions"),
        ),
        session_only(SIGNED_IN),
    ),
    "PUT /api/me/factor": session_only(NO_FACTOR),  # nor begun to
    "POST /api/me/factor/recovery-codes": session_only(NO_FACTOR),
    "DELETE /api/sessions/{session_id}": session_only(OWN),
    "DELETE /api/tokens/{token_id}": by_token(OWN | BANNED, script=REFUSED, reader=REFUSED),  # not the token itself
}
CONFIRMED = {"current_password": PASSWORD}
BODIES: dict[str, Any] = {
    "POST /api/register": {"username": "newcomer", "password": "correct horse 22"},
    "POST /api/login": {"username": "stranger", "password": PASSWORD},
    **dict.fromkeys(("POST /api/me/factor", "DELETE /api/me/factor", "DELETE /api/me"), CONFIRMED),
    "POST /api/me/factor/recovery-codes": CONFIRMED,
    "PUT /api/me/factor": {"code": "000000"},
    "PATCH /api/me": CONFIRMED | {"username": "newcomer"},
    "POST /api/tokens": {"name": "script"},
    "POST /api/posts": {"title": "Title", "body": "Words."},
    f"PATCH {P}": {"title": "Other"},
    f"POST {P}/comments": {"content": "An answer."},
    f"PATCH {C}": {"content": "Another."},
    **{vote: {"vote_type": "up"} for vote in (f"PUT {P}/vote", f"PUT {C}/vote")},
    "POST /api/circles": {"slug": "dogs", "name": "Dogs"},
    "POST /api/notifications/read": {"upto": 0},
}


@pytest.fixture
def people(db: None) -> People:
    return People()


def assert_ruled(rules: Mapping[str, Rule], routes: Mapping[str, str]) -> None:
    """Each route has a rule and each rule a route."""
    without = sorted(routes.keys() - rules.keys())
    assert without == [], f"Say in tests/test_matrix.py who may do this: {without}"
    gone = sorted(rules.keys() - routes.keys())
    assert gone == [], f"Nothing is there any more: remove these rules from tests/test_matrix.py: {gone}"


def send(browser: Client, name: str, address: str) -> HttpResponse:
    """The answer of a page to the method in its name; a POST sends every field that a form has."""
    return browser.get(address) if name.startswith("GET") else browser.post(address, FORM)


def differing(rules: Mapping[str, Rule], asks: Mapping[str, Ask]) -> dict[str, dict[str, str]]:
    """What differs from the rules: by route and kind, what was said and what should have been."""
    found = {}
    for name, ask in asks.items():
        said = {kind: undone(ask, kind) for kind in rules[name]}
        if wrong := {
            kind: f"{said[kind]}, not {rules[name][kind]}" for kind in said if said[kind] != rules[name][kind]
        }:
            found[name] = wrong
    return found


@pytest.mark.django_db
def test_every_page_and_operation_has_a_rule_and_every_rule_its_route() -> None:
    assert_ruled(PAGES, pages())
    assert_ruled(OPERATIONS, operations())


def test_each_kind_of_person_gets_from_each_page_what_its_rule_says(people: People) -> None:
    def ask(name: str, path: str) -> Ask:
        address = filled(path, people.rows(path))
        return lambda kind: send(people.browser(kind), name, address)

    assert differing(PAGES, {name: ask(name, path) for name, path in pages().items()}) == {}


def test_each_kind_of_person_and_of_token_gets_from_the_api_what_its_rule_says(people: People) -> None:
    def ask(name: str, path: str) -> Ask:
        address, method = filled(path, people.rows(path)), name.split()[0]
        return lambda kind: people.program(kind).send(method, address, BODIES.get(name))

    assert differing(OPERATIONS, {name: ask(name, path) for name, path in operations().items()}) == {}


@pytest.mark.parametrize(("state", "for_whom"), [("draft", {"author", "script", "reader"}), ("removed_post", set())])
def test_a_draft_is_there_for_its_author_alone_and_a_removed_post_for_nobody(
    people: People, state: str, for_whom: set[str]
) -> None:
    rows = {"post_id": getattr(people, state).pk, "entity_id": getattr(people, state).pk}
    got = []
    for name, path in pages().items():
        if "posts/<" in path and "restore" not in path and name not in LEADS_ELSEWHERE:
            address = filled(path, rows)
            got += [(name, kind, undone(send, people.browser(kind), name, address)) for kind in KINDS]
    for name, path in operations().items():
        if "{post_id}" in path and "restore" not in path:
            method, address, body = name.split()[0], filled(path, rows), BODIES.get(name)
            got += [
                (name, kind, undone(people.program(kind).send, method, address, body)) for kind in (*KINDS, *TOKENS)
            ]
    assert len(got) > 100
    assert [one for one in got if one[1] not in for_whom and one[2] not in (HIDDEN, SIGN_IN, REFUSED)] == []
    assert [one for one in got if one[1] not in (*for_whom, "banned", "reader") and one[2] == REFUSED] == []


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_admin_is_there_for_those_with_the_permission_alone(people: People, method: str) -> None:
    wrong = []
    for name, path in admin_pages().items():
        address = filled(path, people.rows(path))
        ruled = STAFF if ADMIN_LEADS_AWAY.search(name) else ADMIN.get(name, MODELS)
        for kind in KINDS if name in ("admin:index", "admin:login") else ("visitor", "owner", "staff", "superuser"):
            said = undone(send, people.browser(kind), method, address)
            fits = said == ruled[kind]
            if kind in ("staff", "superuser"):
                fits |= said == "405" and name in ("admin:autocomplete", *ADMIN)  # nothing is done
            if kind == "superuser" and not name.endswith(("_changelist", ":index")):
                fits |= said in (REFUSED, HIDDEN)  # a model to look at only, or no row with this number
            if not fits:
                wrong.append((name, kind, said))
    assert wrong == []


def test_in_the_admin_a_superuser_changes_what_the_rules_say_and_the_staff_nothing(people: People) -> None:
    FollowFactory()
    VoteFactory(post=people.post)
    Group.objects.create(name="translators")
    with_factor()
    deliver()
    sent: dict[str, dict[str, str]] = {"add": {}, "change": {}, "delete": {"post": "yes"}}
    said: dict[str, dict[str, str]] = {"superuser": {}, "staff": {}}
    for kind, found in said.items():
        browser = people.browser(kind)
        for model in site._registry:
            name, row = model._meta.label_lower.replace(".", "_"), model._default_manager.first()
            of: dict[str, list[Any]] = {"add": []} | ({"change": [row.pk], "delete": [row.pk]} if row else {})
            pages = {verb: reverse(f"admin:{name}_{verb}", args=of[verb]) for verb in of}
            done = [verb for verb, page in pages.items() if undone(browser.post, page, sent[verb]) == YES]
            if row and kind == "staff" and not model._meta.proxy:
                history = reverse(f"admin:{name}_history", args=[row.pk])
                done += ["history"] * (undone(browser.get, history) != REFUSED)
            if done:
                found[str(model._meta.model_name)] = " ".join(done)
    assert said["staff"] == {}
    assert said["superuser"] == WRITES
