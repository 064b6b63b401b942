"""People: show a person; follow, block and mute a person."""

from ninja import Router

from feeds import actions
from feeds.api.auth import USER_OR_VISITOR, OpenRequest, Request
from feeds.api.schemas.people import BlockOut, FollowIn, FollowOut, MuteOut, PersonOut
from feeds.api.schemas.shape import OtherUsernamePath, UsernamePath
from feeds.lists.profiles import get_profile

router = Router(tags=["people"])


@router.get("/{username}", auth=USER_OR_VISITOR, response=PersonOut)
def person(request: OpenRequest, username: UsernamePath) -> PersonOut:
    """A person, and whether you follow, block or mute them."""
    return PersonOut.of(get_profile(username, viewer=request.auth))


@router.put("/{username}/follow", response=FollowOut)
def follow(request: Request, username: OtherUsernamePath, how: FollowIn = FollowIn()) -> FollowOut:  # noqa: B008
    """Follow a person, or set whether each of their posts is a notice (`bell`)."""
    followed = actions.follow(request.auth, username=username, bell=how.bell)
    if "bell" in how.model_fields_set and how.bell is None:
        followed = actions.set_bell(request.auth, username=username, bell=None)
    return FollowOut(following=True, bell=followed.bell)


@router.delete("/{username}/follow", response=FollowOut)
def unfollow(request: Request, username: UsernamePath) -> FollowOut:
    """Unfollow a person."""
    actions.unfollow(request.auth, username=username)
    return FollowOut(following=False, bell=None)


@router.put("/{username}/block", response=BlockOut)
def block(request: Request, username: OtherUsernamePath) -> BlockOut:
    """Block a person: refuse their comments, votes and follows, and hide them."""
    actions.block(request.auth, username=username)
    return BlockOut(blocked=True)


@router.delete("/{username}/block", response=BlockOut)
def unblock(request: Request, username: UsernamePath) -> BlockOut:
    """Unblock a person."""
    actions.unblock(request.auth, username=username)
    return BlockOut(blocked=False)


@router.put("/{username}/mute", response=MuteOut)
def mute(request: Request, username: OtherUsernamePath) -> MuteOut:
    """Mute a person: hide their posts and comments. They do not learn of it."""
    actions.mute(request.auth, username=username)
    return MuteOut(muted=True)


@router.delete("/{username}/mute", response=MuteOut)
def unmute(request: Request, username: UsernamePath) -> MuteOut:
    """Unmute a person."""
    actions.unmute(request.auth, username=username)
    return MuteOut(muted=False)
