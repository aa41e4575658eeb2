"""Durable execution: a pure core, a store port, and the shell that turns runs."""
