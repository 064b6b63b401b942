"""API: the JSON API of feeds, one router per noun. It parses and renders; feeds.actions write, feeds.lists read.

Runs in web processes. The docstrings of its functions and schemas are shown on /api/docs.
"""

from ninja import Router

from feeds.api import accounts, circles, comments, factor, feed, people, posts, search, sessions, tokens, votes

router = Router()
router.add_router("", accounts.router)
router.add_router("/me/factor", factor.router)
router.add_router("/tokens", tokens.router)
router.add_router("/sessions", sessions.router)
router.add_router("/posts", posts.router)
router.add_router("", feed.router)
router.add_router("", comments.router)
router.add_router("", votes.router)
router.add_router("/users", people.router)
router.add_router("/circles", circles.router)
router.add_router("", search.router)
