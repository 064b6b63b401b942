"""Home: the feed of who is signed in, and the posts of everyone."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from feeds.lists import circles as directory
from feeds.lists import posts as timeline
from feeds.views.lists import Listing


def home(request: HttpRequest) -> HttpResponse:
    """`/`: the own feed, or hot, new, top and controversial posts of all."""
    cursor = request.GET.get("cursor")
    sort = request.GET.get("sort", "feed" if request.user.is_authenticated else "hot")
    if sort == "feed" and request.user.is_authenticated:
        page = timeline.home(request.user, cursor=cursor)
        context = {"page": page, "sort": sort, "live": cursor is None and "/api/feed"}
        if not page.items and cursor is None:
            context["popular"] = timeline.posts("hot", viewer=request.user)
            context["circles"] = directory.suggested(request.user)
        return render(request, "feeds/home.html", context)
    if sort == "feed":
        raise Http404
    return render(request, "feeds/home.html", Listing(request, sort).context())
