"""Reshaping data. All pure: each is an expression function too."""
