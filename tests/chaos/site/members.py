"""Members: people and programs that use the site over HTTP, through whichever web process the balancer names."""

from __future__ import annotations

import http.client
import json
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookies import SimpleCookie
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from tests.support.api_client import PASSWORD

#: Seconds that each member waits after each act.
PAUSE = 0.1
#: Own posts that a member keeps; older ones are deleted.
KEPT_POSTS = 12
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
COMMENT_FORM = re.compile(r'<form class="answer" method="post" action="(/posts/\d+/comments)".*?</form>', re.DOTALL)
HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)"(?: value="([^"]*)")?')


class Answer(NamedTuple):
    """One request. began: seconds since 1970. status: 0 if there was no answer, and `text` says why."""

    began: float
    seconds: float
    what: str
    port: int
    status: int
    text: str

    def json(self) -> Any:
        return json.loads(self.text)

    def __str__(self) -> str:
        return f"{self.seconds * 1000:.0f} ms {self.status} {self.what} at {self.port} {self.text[:300]}"


class Balancer:
    """Names a web process for each request; knows which have a request under way."""

    def __init__(self) -> None:
        self._ports: list[int] = []
        self._busy: Counter[int] = Counter()
        self._changed = threading.Condition()

    def add(self, port: int) -> None:
        """Send requests there, too."""
        with self._changed:
            self._ports.append(port)

    def drain(self, port: int, *, within: float = 60.0) -> None:
        """Send no further request there, and wait until none is under way."""
        with self._changed:
            self._ports.remove(port)
            assert self._changed.wait_for(lambda: not self._busy[port], within), f"{port} still answers"

    @contextmanager
    def chosen(self, dice: random.Random) -> Iterator[int]:
        """A port, kept in use meanwhile."""
        with self._changed:
            port = dice.choice(self._ports)
            self._busy[port] += 1
        try:
            yield port
        finally:
            with self._changed:
                self._busy[port] -= 1
                self._changed.notify_all()


class Member:
    """One person with a session and a program with a token; remembers what of its own must be found."""

    def __init__(self, number: int, balancer: Balancer) -> None:
        self.name = f"member{number}"
        self.answers: list[Answer] = []
        #: Own posts: id → the word that no other post has.
        self.words: dict[int, str] = {}
        #: Words of own posts that were edited or deleted.
        self.gone: list[str] = []
        self._number = number
        self._balancer = balancer
        self._dice = random.Random(number)
        self._cookies: dict[str, str] = {}
        self._token = ""
        self._comments: list[int] = []
        self._made = 0

    def join(self) -> None:
        """Register, sign in, and make a token."""
        self.ask("POST", "/api/register", {"username": self.name, "password": PASSWORD})
        # A token of before the upgrade is used until the end.
        self._token = self.ask("POST", "/api/tokens", {"name": "upgrade"}).json()["token"]
        for _ in range(3):
            self._publish()

    # Acting ---------------------------------------------------------------------------------------------------------

    def act(self) -> None:
        """Something a busy member does."""
        dice = self._dice
        post = self._some_post()
        match dice.randrange(24):
            case 0 | 1:
                self._publish()
                for old in list(self.words)[:-KEPT_POSTS]:
                    self._delete(old)
            case 2:
                self._edit(dice.choice(list(self.words)))
            case 3 | 4 | 5:
                content = f"Said **again** to @member{dice.randrange(4)}: {dice.random()}"
                said = self.ask("POST", f"/api/posts/{post}/comments", {"content": content})
                if said.status == 201:
                    self._comments.append(said.json()["id"])
            case 6:
                self._comment_by_form(post)
            case 7 if self._comments:
                self.ask("PATCH", f"/api/comments/{dice.choice(self._comments)}", {"content": f"Now {dice.random()}"})
            case 8 if self._comments:
                self.ask("DELETE", f"/api/comments/{self._comments.pop(dice.randrange(len(self._comments)))}")
            case 9 | 10 | 11 | 12:
                self.ask("PUT", f"/api/posts/{post}/vote", {"vote_type": dice.choice(["up", "down"])})
            case 13:
                self.ask("DELETE", f"/api/posts/{post}/vote")
            case 14 if self._comments:
                self.ask("PUT", f"/api/comments/{dice.choice(self._comments)}/vote", {"vote_type": "up"})
            case 15:
                self.ask(dice.choice(["PUT", "DELETE"]), f"/api/users/member{dice.randrange(4)}/follow")
            case 16:
                word = dice.choice([*self.words.values(), "words", "upgrade"])
                self.ask("GET", f"/api/search?q={word}")
                self.ask("GET", f"/search?q={word}", by_token=False)
            case 17:
                self.ask("GET", "/api/feed")
                self.ask("GET", "/", by_token=False)
            case 18:
                self.ask("GET", f"/posts/{post}", by_token=False)
            case 19:
                self.ask("GET", "/api/notifications")
                self.ask("GET", "/notifications", by_token=False)
            case 20:
                self.ask("GET", f"/users/{self.name}", by_token=False)
                self.ask("GET", "/settings", by_token=False)
            case 21:
                self.ask("GET", f"/api/posts?sort={dice.choice(['hot', 'new', 'top', 'controversial'])}")
            case 22 if dice.random() < 0.5:
                self._register_another()
            case 23 if dice.random() < 0.2:
                self._cookies.clear()
                self.ask("POST", "/api/login", {"username": self.name, "password": PASSWORD}, by_token=False)
            case _:
                self.ask("GET", f"/api/posts/{post}/comments")

    def _some_post(self) -> int:
        if self._dice.random() < 0.5:
            return self._dice.choice(list(self.words))
        newest = self.ask("GET", "/api/posts?sort=new")
        items = newest.json()["items"] if newest.status == 200 else []
        return self._dice.choice([item["id"] for item in items] or list(self.words))

    def _new_word(self) -> str:
        self._made += 1
        return f"zq{self._number}x{self._made}q"

    def _publish(self) -> None:
        word = self._new_word()
        made = self.ask("POST", "/api/posts", {"title": f"An upgrade {word}", "body": "Some *words* of a member."})
        if made.status == 201:
            self.words[made.json()["id"]] = word

    def _edit(self, post: int) -> None:
        word = self._new_word()
        if self.ask("PATCH", f"/api/posts/{post}", {"title": "Edited", "body": f"Now **{word}**"}).status == 200:
            self.gone.append(self.words[post])
            self.words[post] = word

    def _delete(self, post: int) -> None:
        if self.ask("DELETE", f"/api/posts/{post}").status == 204:
            self.gone.append(self.words.pop(post))

    def _comment_by_form(self, post: int) -> None:
        """The form may come from another release than the one that it is sent to."""
        page = self.ask("GET", f"/posts/{post}", by_token=False)
        if form := COMMENT_FORM.search(page.text):
            fields = dict(HIDDEN.findall(form[0])) | {"content": f"By a form: {self._dice.random()}"}
            self.ask("POST", form[1], urlencode(fields), by_token=False)

    def _register_another(self) -> None:
        name = f"{self.name}_{self._new_word()}"
        another = Member(self._number, self._balancer)
        another.answers = self.answers
        another.ask("POST", "/api/register", {"username": name, "password": PASSWORD, "email": f"{name}@airy.example"})
        another.ask("PUT", f"/api/users/{quote(self.name)}/follow", by_token=False)

    # Asking ---------------------------------------------------------------------------------------------------------

    def ask(self, method: str, path: str, body: Any = None, *, by_token: bool = True) -> Answer:
        """One request to some web process. body: JSON, or a form as text."""
        headers = {"Content-Type": "application/x-www-form-urlencoded" if isinstance(body, str) else "application/json"}
        if by_token and self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        elif self._cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
            headers["X-CSRFToken"] = self._cookies.get("csrftoken", "")
        with self._balancer.chosen(self._dice) as port:
            began = time.time()
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            try:
                data = body if isinstance(body, str | None) else json.dumps(body)
                connection.request(method, path, data, headers)
                response = connection.getresponse()
                status, text = response.status, response.read().decode(errors="replace")
                for header in response.headers.get_all("Set-Cookie") or ():
                    self._cookies |= {name: cookie.value for name, cookie in SimpleCookie(header).items()}
            except (OSError, http.client.HTTPException) as error:
                status, text = 0, repr(error)
            finally:
                connection.close()
        answer = Answer(began, time.time() - began, f"{method} {path}", port, status, text)
        self.answers.append(answer._replace(text=text[:300] if status >= 400 or not status else ""))
        return answer


class Load:
    """Members who act, each in a thread, until the load ends."""

    def __init__(self, balancer: Balancer, *, members: int) -> None:
        self.members = [Member(number, balancer) for number in range(members)]
        self.errors: list[BaseException] = []
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(member,)) for member in self.members]

    def begin(self) -> None:
        for member in self.members:
            member.join()
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Raises what a member did not expect."""
        self._ended.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()
        if self.errors:
            raise self.errors[0]

    def answers(self) -> list[Answer]:
        """All so far."""
        return [answer for member in self.members for answer in list(member.answers)]

    def _work(self, member: Member) -> None:
        try:
            while not self._ended.wait(PAUSE):
                member.act()
        except BaseException as error:  # noqa: BLE001 - raised by `end`, in the test's own thread
            self.errors.append(error)
