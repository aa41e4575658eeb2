"""Configuration from one installation to another: out as one value, in again with a plan of what that changes."""
