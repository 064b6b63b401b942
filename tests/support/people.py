"""People: the kinds of people who ask for something, by their tie to its author, and the rows that they ask for."""

from __future__ import annotations

from django.conf import settings
from django.test import Client
from django.utils.crypto import get_random_string

from feeds import actions
from feeds.models import Post, Scope, User
from tests.support.api_client import Program, signed_up
from tests.support.factories import BlockFactory, CircleFactory, CommentFactory, MuteFactory, PostFactory

#: Who looks at pages: nobody signed in; no tie to the author; the author; whom the author blocks; who blocks the
#: author; who mutes the author; the owner of the circle; the staff without any permission in the admin; a superuser; a
#: user who was banned while signed in.
KINDS = ("visitor", "stranger", "author", "blocked", "blocker", "muter", "owner", "staff", "superuser", "banned")
#: Programs with tokens of the author: one may do all that a token can, one may only read.
TOKENS = ("script", "reader")


class People:
    """One person of each kind, and what belongs to the author: posts and comments in a circle, a token, a session."""

    def __init__(self) -> None:
        self.users: dict[str, User] = {kind: signed_up(kind, email=f"{kind}@example.org") for kind in KINDS[1:]}
        self._sessions = {kind: self._signed_in(user) for kind, user in self.users.items()}
        author, owner = self.users["author"], self.users["owner"]
        BlockFactory(user=author, target=self.users["blocked"])
        BlockFactory(user=self.users["blocker"], target=author)
        MuteFactory(user=self.users["muter"], target=author)
        User.objects.filter(username__in=["staff", "superuser"]).update(is_staff=True)
        User.objects.filter(username="superuser").update(is_superuser=True)
        User.objects.filter(pk=self.users["banned"].pk).update(is_active=False)
        circle = CircleFactory(slug="cats", owner=owner)
        self._secrets = {
            "script": actions.create_token(author, name="script")[1],
            "reader": actions.create_token(author, name="reader", scopes=[Scope.READ])[1],
        }
        self.post = PostFactory(author=author, circle=circle)
        self.draft = PostFactory(author=author, status=Post.Status.DRAFT)
        self.removed_post = PostFactory(author=author, circle=circle)
        self.comment = CommentFactory(post=self.post, author=author)
        self.removed_comment = CommentFactory(post=self.post, author=author)
        actions.delete_post(owner, post_id=self.removed_post.pk)
        actions.delete_comment(owner, comment_id=self.removed_comment.pk)
        self.token = actions.create_token(author, name="other")[0]
        self.session = author.sessions.first()

    def rows(self, route: str) -> dict[str, object]:
        """A value for each parameter of a path: the author's. route: the path; what it restores was removed."""
        removed = route.endswith("/restore")
        post = self.removed_post if removed else self.post
        comment = self.removed_comment if removed else self.comment
        author = self.users["author"]
        return {
            "post_id": post.pk,
            "comment_id": comment.pk,
            "entity_id": comment.pk if "comments/" in route else post.pk,
            "slug": "cats",
            "username": author.username,
            "user_id": author.pk,
            "token_id": self.token.pk,
            "session_id": self.session.pk,
            "uidb64": "MQ",
            "token": "of-a-letter",
            "content_type_id": "0",
            "object_id": "0",
            "id": "0",
            "url": "nothing-here",
            "app_label": "feeds",
        }

    def browser(self, kind: str) -> Client:
        """A browser in which this kind of person is signed in; every one has its own cookies."""
        client = Client()
        if kind in self._sessions:
            client.cookies[settings.SESSION_COOKIE_NAME] = self._sessions[kind]
        return client

    def program(self, kind: str) -> Program:
        """A client of the API: with a token of the author, or with the session of this kind of person."""
        if kind in self._secrets:
            return Program(token=self._secrets[kind])
        client = self.browser(kind)
        secret = get_random_string(32)
        client.cookies["csrftoken"] = secret
        return Program(client=client, headers={"X-CSRFToken": secret})

    @staticmethod
    def _signed_in(user: User) -> str:
        client = Client()
        client.force_login(user)
        return client.cookies[settings.SESSION_COOKIE_NAME].value
