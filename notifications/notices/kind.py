"""Kind: the declaration of one kind of notice, checked when it is made."""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar

from notifications.models import Notification
from notifications.notices.notice import Mode, Notice

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

Row = TypeVar("Row", contravariant=True)
Options = ParamSpec("Options")

#: Every field that clients find in a notice's data, and an example of its value.
FIELDS: dict[str, Any] = {
    "post_id": 1,
    "comment_id": 1,
    "title": "a title",
    "circle": "a-slug",
    "actors": [1],
    "names": ["a-name"],
    "count": 1,
}
#: The fields of `wording.who`: %(who)s in a text.
WHO = frozenset({"names", "count"})

#: A parameter that was not given.
MISSING: Any = None
#: The parameters that every kind needs, and how each is given.
REQUIRED = {
    "name": 'name="…", one word',
    "to": "to=…, a function from the row to a list of user ids",
    "key": "key=…, a function from the row to the subject, such as post/1",
    "data": "data=…, a function from the row to a TypedDict",
    "withdrawn_with_content": "withdrawn_with_content=True if it is about a post or comment, else False",
    "text": 'text=_("%(who)s …"), what the user reads',
    "link": "link=…, a function from the data to a path of this site",
}

#: Every kind by its name.
KINDS: dict[str, Kind[Any, ...]] = {}


class KindError(ValueError):
    """A wrong declaration of a kind; the message names the cure."""


@dataclass(frozen=True, kw_only=True)
class Kind(Generic[Row, Options]):
    """One kind of notice. Making one declares it: `text` and `link` of its notices are found by its name.

    name: stored in Notification.kind.
    to: the ids of the users who get it, as a list, from the row that it is about. It may take keyword options with
        defaults, for a subscriber that goes through many recipients page by page.
    key: the subject. A user has one notice per subject; kinds that share a `key` function replace each other there.
    data: what the notice remembers of the row. Its return annotation, a TypedDict with names from FIELDS, is the shape.
    withdrawn_with_content: whether deleting the post or comment withdraws the notice; then the shape has post_id and
        comment_id, else neither.
    text, text_on_comment: what the user reads, with %(who)s and %(title)s; the second for data with a comment_id.
    link: the page that it leads to, from the data: a path of this site.
    actor: the id of the user who caused it; that user gets no notice, nor does anybody who silenced that user.
    rank: of the kinds that share a `key` function, the one with the highest rank is shown.
    grows: gathers several people in one notice, and notifies again when a person joins.
    returns: what it tells of can end and begin again; a notice that was withdrawn is then shown again as it was.
    shape: the TypedDict that data returns.

    Raises KindError.
    """

    name: str = MISSING
    to: Callable[Concatenate[Row, Options], list[int]] = MISSING
    key: Callable[[Row], str] = MISSING
    data: Callable[[Row], Mapping[str, Any]] = MISSING
    withdrawn_with_content: bool = MISSING
    text: StrOrPromise = MISSING
    text_on_comment: StrOrPromise | None = None
    link: Callable[[Mapping[str, Any]], str] = MISSING
    actor: Callable[[Row], int] | None = None
    rank: int = 0
    grows: bool = False
    returns: bool = False
    shape: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for name, cure in REQUIRED.items():
            value = getattr(self, name)
            if value is MISSING or (isinstance(value, str) and not value):
                raise KindError(f"Kind({self.name!r}) has no {name}: give {cure}")
        object.__setattr__(self, "shape", self._read_shape())
        self._check_name()
        self._check_fields()
        self._check_link()
        KINDS[self.name] = self

    @property
    def fields(self) -> frozenset[str]:
        """The names of all fields that its data may have."""
        return frozenset(self.shape.__required_keys__ | self.shape.__optional_keys__)

    def notices(self, row: Row, *, to: Sequence[int] | None = None, mode: Mode = Mode.NOTIFY) -> Iterator[Notice]:
        """A notice for each of the users `to` (by default all who get it), except the actor.

        Raises KindError if the data does not have the declared shape.
        """
        key, data, actor_id = self.key(row), self.data(row), self.actor(row) if self.actor else None
        if not self.shape.__required_keys__ <= data.keys() <= self.fields:
            raise KindError(f"Kind({self.name!r}): the data has {sorted(data)}, declared are {sorted(self.fields)}")
        for user_id in self.to(row) if to is None else to:  # type: ignore[call-arg]  # the options have defaults
            if user_id != actor_id:
                yield Notice(user_id=user_id, kind=self.name, key=key, data=data, actor_id=actor_id, mode=mode)

    def outranks(self, other: Kind[Any, ...] | None) -> bool:
        """Whether its notice replaces one of the other kind; None is a kind that is no longer declared."""
        return other is None or other.rank < self.rank

    def _read_shape(self) -> Any:
        shape = typing.get_type_hints(self.data).get("return")
        if not typing.is_typeddict(shape):
            raise KindError(
                f"Kind({self.name!r}): annotate what data= returns with a TypedDict, so that its fields are declared"
            )
        return shape

    def _check_name(self) -> None:
        longest = Notification._meta.get_field("kind").max_length or 0
        if len(self.name) > longest:
            raise KindError(f"Kind({self.name!r}): the column holds {longest} characters; give it a shorter name")
        if self.name in KINDS:
            raise KindError(f"Kind({self.name!r}) is already declared; give one of the two another name")
        for other in KINDS.values():
            if other.key is self.key and other.rank == self.rank:
                raise KindError(
                    f"Kind({self.name!r}) and Kind({other.name!r}) share a key and the rank {self.rank}:"
                    " give one of the two a higher rank, or a key of its own"
                )

    def _check_fields(self) -> None:
        if unknown := sorted(self.fields - FIELDS.keys()):
            raise KindError(
                f"Kind({self.name!r}): the field {', '.join(unknown)} is unknown; known are {', '.join(FIELDS)}."
                " Add a new field to FIELDS, with an example, and to the clients"
            )
        content = self.fields & {"post_id", "comment_id"}
        if self.withdrawn_with_content and len(content) < 2:
            raise KindError(
                f"Kind({self.name!r}) is withdrawn with its post or comment: its data needs post_id and comment_id"
                " (optional, for notices of posts)"
            )
        if content and not self.withdrawn_with_content:
            raise KindError(
                f"Kind({self.name!r}): data with {', '.join(sorted(content))} is withdrawn with that content;"
                " say withdrawn_with_content=True"
            )
        if self.text_on_comment is not None and "comment_id" not in self.fields:
            raise KindError(f"Kind({self.name!r}): text_on_comment needs comment_id in the data")
        if self.grows and not self.fields >= WHO | {"actors"}:
            raise KindError(f"Kind({self.name!r}) grows: its data needs actors, names and count")

    def _check_link(self) -> None:
        """Call `link` with example data, with and without the optional fields."""
        for names in (self.shape.__required_keys__, self.fields):
            try:
                path = self.link({name: FIELDS[name] for name in names})
            except KeyError as error:
                raise KindError(
                    f"Kind({self.name!r}): link reads {error}, which its data need not have; it has {sorted(names)}"
                ) from None
            if not isinstance(path, str) or not path.startswith("/"):
                raise KindError(f"Kind({self.name!r}): link must return a path such as /posts/1; it returned {path!r}")
