"""What a TLS handshake that failed says to people."""

import ssl


def describe_tls_failure(error: ssl.SSLError) -> str:
    """Why there is no trusted connection, as the end of a sentence, without its full stop."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message.rstrip(".")
    return (error.reason or "the handshake failed").replace("_", " ").lower()
