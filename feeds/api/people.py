"""People: look one up; follow, block and mute."""

from ninja import Router

from feeds import actions
from feeds.api.auth import ANYBODY, OpenRequest, Request
from feeds.api.schemas.people import BlockOut, FollowIn, FollowOut, MuteOut, PersonOut
from feeds.lists import profiles

router = Router(tags=["people"])


@router.get("/{username}", auth=ANYBODY, response=PersonOut)
def person(request: OpenRequest, username: str) -> PersonOut:
    """A person, and what one has to do with them."""
    return PersonOut.of(profiles.profile(username, viewer=request.auth))


@router.put("/{username}/follow", response=FollowOut)
def follow(request: Request, username: str, how: FollowIn = FollowIn()) -> FollowOut:  # noqa: B008
    """Follow a person, or say whether each of their posts is a notice (`bell`)."""
    tie = actions.follow(request.auth, username=username, bell=how.bell)
    if "bell" in how.model_fields_set and how.bell is None:
        tie = actions.set_bell(request.auth, username=username, bell=None)
    return FollowOut(following=True, bell=tie.bell)


@router.delete("/{username}/follow", response=FollowOut)
def unfollow(request: Request, username: str) -> FollowOut:
    """Follow a person no longer."""
    actions.unfollow(request.auth, username=username)
    return FollowOut(following=False, bell=None)


@router.put("/{username}/block", response=BlockOut)
def block(request: Request, username: str) -> BlockOut:
    """Refuse a person's comments, votes and follows, and see nothing of them."""
    actions.block(request.auth, username=username)
    return BlockOut(blocked=True)


@router.delete("/{username}/block", response=BlockOut)
def unblock(request: Request, username: str) -> BlockOut:
    """Lift a block."""
    actions.unblock(request.auth, username=username)
    return BlockOut(blocked=False)


@router.put("/{username}/mute", response=MuteOut)
def mute(request: Request, username: str) -> MuteOut:
    """See nothing of a person, who is not told."""
    actions.mute(request.auth, username=username)
    return MuteOut(muted=True)


@router.delete("/{username}/mute", response=MuteOut)
def unmute(request: Request, username: str) -> MuteOut:
    """Lift a mute."""
    actions.unmute(request.auth, username=username)
    return MuteOut(muted=False)
