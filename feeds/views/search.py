"""Search: find posts."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from feeds.actions.lookups import anyone, circle_at
from feeds.search.search import search as find


def search(request: HttpRequest) -> HttpResponse:
    """`/search?q=`, in one circle or of one author with `&circle=` or `&author=`."""
    asked = request.GET
    query = asked.get("q", "").strip()
    circle = circle_at(asked["circle"]) if asked.get("circle") else None
    author = anyone(asked["author"]) if asked.get("author") else None
    page = find(query, circle=circle, author=author, viewer=request.user, cursor=asked.get("cursor")) if query else None
    return render(request, "feeds/search.html", {"query": query, "page": page, "circle": circle, "person": author})
