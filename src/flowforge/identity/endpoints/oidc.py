"""`/auth/oidc`: to a provider's page, and back from it."""

from typing import Annotated, Final

from fastapi import Depends, Query, Request, Response

from flowforge.identity.cookies import set_session_cookies
from flowforge.identity.errors_accounts import EmailTakenError
from flowforge.identity.oidc import ProviderRefusedError, Return, begin_sign_in, finish_sign_in
from flowforge.identity.oidc_calls import ProviderFailedError
from flowforge.identity.oidc_people import EmailMissingError, PersonDisabledError
from flowforge.identity.oidc_settings import ProviderNotFoundError
from flowforge.identity.oidc_state import StateError, put_state, spend_state, take_state
from flowforge.web.callers import OPEN
from flowforge.web.calls import CallIn
from flowforge.web.routing import Router

router: Final = Router("auth", "/auth/oidc")

TextIn = Annotated[str | None, Query(max_length=8_192)]


def read_return(code: TextIn = None, iss: TextIn = None, error: TextIn = None) -> Return:
    """What the provider says."""
    return Return(code, iss, error)


_RETURNED: Final = Depends(read_return)
_GOES: Final = {"description": "The browser goes there.", "headers": {"Location": {"schema": {"type": "string"}}}}


@router.get(
    "/{provider}/login",
    OPEN,
    status=302,
    errors=[ProviderNotFoundError, ProviderFailedError],
    answers={302: _GOES},
    response_class=Response,
    response_model=None,
    summary="Begin a sign-in by a provider",
)
async def begin(
    call: CallIn,
    request: Request,
    provider: str,
    next: Annotated[  # noqa: A002 (the parameter's name in the address)
        str | None, Query(max_length=2_000, description="Where to go afterwards: a path like /runs; others are ignored.")
    ] = None,
) -> Response:
    """Sends the browser to the provider's page."""
    state, address = await begin_sign_in(call, provider, next)
    put_state(request, call.parts.settings, call.parts.keyring, state)
    return Response(status_code=302, headers={"location": address})


@router.get(
    "/{provider}/callback",
    OPEN,
    status=303,
    ignores_others=True,
    errors=[
        StateError,
        ProviderRefusedError,
        ProviderNotFoundError,
        ProviderFailedError,
        EmailMissingError,
        EmailTakenError,
        PersonDisabledError,
    ],
    answers={303: _GOES},
    response_class=Response,
    response_model=None,
    summary="Come back from a provider",
)
async def finish(call: CallIn, request: Request, provider: str, state: TextIn = None, returned: Return = _RETURNED) -> Response:
    """The provider sends the browser here; a session begins, and the browser goes where it wanted to."""
    parts = call.parts
    known = take_state(request, parts.settings, parts.keyring, provider=provider, given=state)
    await spend_state(call, known)
    opened = await finish_sign_in(call, known, returned, user_agent=request.headers.get("user-agent", ""))
    set_session_cookies(request, parts.settings, opened)
    return Response(status_code=303, headers={"location": known.next})
