"""Sessions: list and end the sessions in which you are signed in."""

from django.contrib.auth import logout
from ninja import Router, Status

from feeds import actions
from feeds.api.auth import SESSION_ONLY, Request
from feeds.api.schemas.accounts import SessionOut
from feeds.api.schemas.shape import RowId

router = Router(tags=["sessions"], auth=SESSION_ONLY)


@router.get("", response=list[SessionOut])
def sessions(request: Request) -> list[SessionOut]:
    """The sessions in which you are signed in, the last used first. Needs a session."""
    current = request.session.session_key
    rows = request.auth.sessions.alive().order_by("-last_seen_at", "-pk")
    return [SessionOut.of(row, current=row.session_key == current) for row in rows]


@router.delete("", response={204: None})
def end_other_sessions(request: Request) -> Status[None]:
    """Sign out everywhere else: all your sessions but this one end. Needs a session."""
    actions.end_other_sessions(request.auth, session_key=request.session.session_key)
    return Status(204, None)


@router.delete("/{session_id}", response={204: None})
def end_session(request: Request, session_id: RowId) -> Status[None]:
    """Sign out of one session, which may be this one. Needs a session."""
    current = request.auth.sessions.filter(pk=session_id, session_key=request.session.session_key).exists()
    actions.end_session(request.auth, session_id=session_id)
    if current:
        logout(request)
    return Status(204, None)
