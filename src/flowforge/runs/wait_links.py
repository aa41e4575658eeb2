"""What a run waits for, as it is told to a caller: a signal with the link by which anybody can send it."""

from flowforge.kit.signing import SigningKeys
from flowforge.kit.values import JsonObject
from flowforge.runs.events import describe_wait
from flowforge.runs.resuming import make_token, make_url
from flowforge.runs.sight import OPERATE
from flowforge.runs.types import RunHeader, WaitingFor
from flowforge.runs.views import DescribeWait
from flowforge.web.calls import Call


def describe_waits_for(call: Call, header: RunHeader) -> DescribeWait:
    """With links for who may send the signals anyway, without for others."""
    if not call.caller.rights.allow(OPERATE):
        return describe_wait

    def describe(wait: WaitingFor) -> JsonObject:
        described = describe_wait(wait)
        if wait.kind == "signal":
            url = make_url(call.parts.settings.public_url, make_token(call.port(SigningKeys), header, wait))
            described["ref"] = {"step": wait.step, **wait.ref, "resume_url": url}
        return described

    return describe
