"""Messages to people and to other programs."""
