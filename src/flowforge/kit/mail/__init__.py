"""Mail: written and read as values, sent over SMTP or into an outbox folder, fetched over IMAP. Knows nothing of workflows.

What takes long to import (messages, the libraries of the protocols) is in modules of its own, imported where it is used.
"""

from flowforge.kit.mail.mailer import Delivery, Mailer

__all__ = ["Delivery", "Mailer"]
