"""Mail: send, read, fetch, and mark what was read."""
