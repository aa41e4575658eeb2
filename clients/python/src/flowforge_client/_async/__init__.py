"""The asynchronous client; its twin is made from it."""
