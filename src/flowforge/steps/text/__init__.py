"""Texts: templates, patterns, cases, comparing."""
