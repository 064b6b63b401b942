"""Pages of refusals: each with the layout of the site, its status and the reason."""

import pytest
from django.contrib.auth.models import AnonymousUser
from django.template.loader import render_to_string
from django.test import RequestFactory
from django.views import defaults

from tests.support.browsers import Window, shown, window
from tests.support.factories import PostFactory

pytestmark = [pytest.mark.django_db, pytest.mark.home]


def test_an_unknown_address_is_not_found_in_our_dress():
    page = Window().read("/no/such/page", 404)
    assert "Page not found" in page
    assert 'class="brand"' in page


def test_a_failure_of_ours_says_so_and_needs_no_database(django_assert_num_queries):
    with django_assert_num_queries(0):
        response = defaults.server_error(RequestFactory().get("/"))
    assert response.status_code == 500
    assert b"The error is on our side" in response.content


def test_a_form_without_its_token_says_what_to_do():
    browser = Window(enforce_csrf_checks=True)
    page = shown(browser.post("/login", {"username": "a", "password": "b"}), 403)
    assert "This form has expired" in page


def test_writing_too_often_says_when_to_go_on(limited):
    limited(WRITE="1/60")
    alice, post = window(), PostFactory()
    alice.send(f"/posts/{post.pk}/vote", vote_type="up")
    response = alice.send(f"/posts/{post.pk}/vote", vote_type="up")
    assert "You're doing that too often" in shown(response, 429)
    assert 1 <= int(response.headers["Retry-After"]) <= 60


def test_browsers_are_told_to_run_nothing_but_ours():
    for browser, address in ((Window(), "/"), (window(), "/settings"), (window(), "/notifications")):
        response = browser.get(address)
        assert "default-src 'self'" in response.headers["Content-Security-Policy"]
        page = response.content.decode()
        for inline in ("<style", " style=", " onclick=", "<script>"):
            assert inline not in page


def test_the_pages_of_errors_render_for_nobody():
    request = RequestFactory().get("/")
    request.user = AnonymousUser()
    for template in ("403.html", "404.html", "429.html"):
        assert 'id="main"' in render_to_string(template, {"wait": 3}, request)
