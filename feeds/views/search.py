"""Search: find posts."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from feeds.search import search as find


def search(request: HttpRequest) -> HttpResponse:
    """`/search?q=`."""
    query = request.GET.get("q", "").strip()
    page = find(query, viewer=request.user, cursor=request.GET.get("cursor")) if query else None
    return render(request, "feeds/search.html", {"query": query, "page": page})
