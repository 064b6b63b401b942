"""State and log agree: eight threads write through API, admin and shell while every delivery is made twice."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable

import pytest
from django.db import connection
from django.test import Client

from events.testing import deliver
from feeds import actions
from feeds.errors import RefusedError
from feeds.models import Circle, Comment, Post, User, Vote
from tests.support import agreement
from tests.support.factories import CircleFactory, PostFactory, UserFactory

WRITERS = 8


def act_through_api(person: User, dice: random.Random) -> Callable[[], None]:
    """One person at the JSON API."""
    client = Client()
    client.force_login(person)

    def act() -> None:
        post = f"/api/posts/{_some(Post, dice)}"
        comment = _some(Comment, dice)
        name = User.objects.order_by("?").values_list("username", flat=True)[0]
        body = {"vote_type": dice.choice(["up", "down"])}
        match dice.randrange(12):
            case 0:
                answer = client.post("/api/posts", {"title": "By API", "body": "text"}, "application/json")
            case 1:
                answer = client.patch(post, {"title": f"Edited {dice.random()}"}, "application/json")
            case 2:
                answer = client.delete(post)
            case 3 | 4:
                answer = client.post(f"{post}/comments", {"content": "A comment"}, "application/json")
            case 5 | 6 | 7:
                answer = client.put(f"{post}/vote", body, "application/json")
            case 8:
                answer = client.delete(f"{post}/vote")
            case 9:
                answer = client.put(f"/api/comments/{comment}/vote", body, "application/json")
            case 10:
                answer = client.put(f"/api/users/{name}/follow", {}, "application/json")
            case _:
                answer = client.delete(f"/api/users/{name}/follow")
        assert answer.status_code < 500, answer.content

    return act


def act_in_admin(person: User, dice: random.Random) -> Callable[[], None]:
    """An administrator who edits, deletes and removes votes in the admin."""
    person.is_staff = person.is_superuser = True
    person.save()
    client = Client()
    client.force_login(person)

    def act() -> None:
        match dice.randrange(5):
            case 0:
                answer = client.post(
                    "/admin/feeds/post/add/", {"author": person.pk, "title": "By admin", "status": "published"}
                )
            case 1:
                post = _some(Post, dice)
                changed = {"title": f"Corrected {dice.random()}", "body": "by the admin", "status": "published"}
                answer = client.post(f"/admin/feeds/post/{post}/change/", changed)
            case 2:
                chosen = {"action": "delete_selected", "_selected_action": [_some(Comment, dice)], "post": "yes"}
                answer = client.post("/admin/feeds/comment/", chosen)
            case 3:
                chosen = {"action": "delete_selected", "_selected_action": [_some(Vote, dice)], "post": "yes"}
                answer = client.post("/admin/feeds/vote/", chosen)
            case _:
                answer = client.post(
                    f"/admin/feeds/vote/{_some(Vote, dice)}/change/", {"vote_type": dice.choice(["up", "down"])}
                )
        assert answer.status_code < 500

    return act


def act_in_shell(person: User, dice: random.Random) -> Callable[[], None]:
    """Models and actions, called as in a shell: in autocommit, on instances that may be stale."""

    def act() -> None:
        match dice.randrange(6):
            case 0:
                Post.objects.create(author=person, title="By shell", body="text")
            case 1 | 2:
                vote = Vote.objects.filter(user=person).order_by("?").first()
                if vote is not None:
                    vote.vote_type = dice.choice(["up", "down"])
                    vote.save()
            case 3:
                Vote.objects.filter(user=person, vote_type="down").delete()
            case 4:
                circle = Circle.objects.order_by("?").values_list("slug", flat=True)[0]
                dice.choice([actions.join, actions.leave])(person, slug=circle)
            case _:
                actions.vote(
                    person, entity_type="post", entity_id=_some(Post, dice), vote_type=dice.choice(["up", "down"])
                )

    return act


DOORS = (act_through_api, act_in_admin, act_in_shell)


def _some(model: type, dice: random.Random) -> int:
    """A recent row's id, so that the threads meet; 0 if there is none."""
    newest = list(model.objects.order_by("-pk").values_list("pk", flat=True)[:20])
    return dice.choice(newest) if newest else 0


def disturb(acts: int) -> None:
    """Eight writers, each acting this often, while everything is delivered twice; any error of any thread is raised
    here."""
    people = UserFactory.create_batch(WRITERS)
    CircleFactory.create_batch(3)
    PostFactory.create_batch(5)
    errors: list[BaseException] = []

    def work(act: Callable[[], None], *, turns: Iterable[object]) -> None:
        try:
            for _ in turns:
                if errors:
                    break
                try:
                    act()
                except (RefusedError, Post.DoesNotExist, Comment.DoesNotExist, Vote.DoesNotExist):
                    continue  # another thread was faster; a refusal changes nothing
        except BaseException as error:  # noqa: BLE001 - raised below, in the test's own thread
            errors.append(error)
        finally:
            connection.close()

    writers = [
        threading.Thread(
            target=work,
            args=(DOORS[number % len(DOORS)](person, random.Random(number)),),
            kwargs={"turns": range(acts)},
        )
        for number, person in enumerate(people)
    ]
    while_they_write = iter(lambda: any(writer.is_alive() for writer in writers), False)
    deliverer = threading.Thread(target=work, args=(lambda: deliver(times=2),), kwargs={"turns": while_they_write})
    for thread in (*writers, deliverer):
        thread.start()
    for thread in (*writers, deliverer):
        thread.join()
    if errors:
        raise errors[0]
    deliver(times=2)


@pytest.mark.parametrize("acts", [25, pytest.param(800, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
@pytest.mark.django_db(transaction=True)
def test_log_tables_and_counts_agree_after_writing_through_every_door(acts: int) -> None:
    disturb(acts)
    assert Post.objects.filter(title="By admin").exists()
    assert Post.objects.filter(title="By shell").exists()
    assert Post.objects.filter(title="By API").exists()
    assert Vote.objects.exists()
    assert agreement.everything() == []
