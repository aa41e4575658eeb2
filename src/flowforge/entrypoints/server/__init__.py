"""The server's composition root: routes, ports and duties of all domains around one installation."""
