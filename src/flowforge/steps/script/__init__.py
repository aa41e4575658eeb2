"""Code of the workflow's author, in a sandbox."""
