"""The page behind a link that lets a run go on. It has no script, and opening it changes nothing."""

import hashlib
from base64 import b64encode
from html import escape
from typing import Final

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:15vh auto;padding:0 1rem;color:#1a1a1a;background:#fff}"
    "h1{font-size:1.4rem}"
    "button{font:inherit;padding:.6rem 1.4rem;border:0;border-radius:.4rem;background:#1d4ed8;color:#fff;cursor:pointer}"
    "@media (prefers-color-scheme:dark){body{color:#eee;background:#161616}}"
)
_STYLE_HASH: Final = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

PAGE_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
"""The page's Content-Security-Policy."""


def make_question(workflow: str, step: str, signal: str, action: str) -> str:
    """The page that asks: one button, which posts to `action`, a token beside the page's own."""
    return _make_page(
        "Continue?",
        f"<p>The workflow <strong>{escape(workflow)}</strong> waits at the step <strong>{escape(step)}</strong> "
        f"for <strong>{escape(signal)}</strong>.</p>"
        f'<form method="post" action="{escape(action)}"><button type="submit">Continue</button></form>',
    )


def make_thanks(workflow: str) -> str:
    """The page after the button."""
    return _make_page("Thank you", f"<p>The workflow <strong>{escape(workflow)}</strong> goes on. You can close this page.</p>")


def make_refusal() -> str:
    """The page of a link that is not good, or not any more: nothing says which."""
    return _make_page(
        "This link is over", "<p>It is not valid, or what it was for is done. Whoever sent it can send another.</p>"
    )


def _make_page(title: str, content: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<meta name="robots" content="noindex"><title>{title} · FlowForge</title><style>{_STYLE}</style></head>'
        f"<body><main><h1>{title}</h1>{content}</main></body></html>"
    )
