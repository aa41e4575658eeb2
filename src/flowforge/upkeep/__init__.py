"""Keeping an installation: backups, restoring them, copying a database to another one."""
