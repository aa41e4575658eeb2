"""Secrets and variables of a workspace, encrypted at rest."""
