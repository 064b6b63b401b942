"""Search: find posts."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from feeds.actions.lookups import any_user, circle_with_slug
from feeds.search.search import search_posts


def search(request: HttpRequest) -> HttpResponse:
    """`/search?q=`, within one circle or author with `&circle=` or `&author=`."""
    asked = request.GET
    query = asked.get("q", "").strip()
    circle = circle_with_slug(asked["circle"]) if asked.get("circle") else None
    author = any_user(asked["author"]) if asked.get("author") else None
    page = (
        search_posts(query, circle=circle, author=author, viewer=request.user, cursor=asked.get("cursor"))
        if query
        else None
    )
    return render(request, "feeds/search.html", {"query": query, "page": page, "circle": circle, "person": author})
