"""Workflow definitions: drafts, versions, publishing, import and export."""
