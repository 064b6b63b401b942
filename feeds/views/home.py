"""Home: the feed of the user, and the posts of everyone."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from feeds.lists.circles import suggested_circles
from feeds.lists.home import list_home_feed
from feeds.lists.posts import list_posts
from feeds.views.lists import Listing


def home(request: HttpRequest) -> HttpResponse:
    """`/`: the user's feed, or the hot, new, top or controversial posts of everyone."""
    cursor = request.GET.get("cursor")
    sort = request.GET.get("sort", "feed" if request.user.is_authenticated else "hot")
    if sort == "feed" and request.user.is_authenticated:
        page = list_home_feed(request.user, cursor=cursor)
        context = {"page": page, "sort": sort, "live": cursor is None and "/api/feed"}
        if not page.items and cursor is None:
            context["popular"] = list_posts("hot", viewer=request.user)
            context["circles"] = suggested_circles(request.user)
        return render(request, "feeds/home.html", context)
    if sort == "feed":
        raise Http404
    return render(request, "feeds/home.html", Listing(request, sort).context())
