"""People, sessions, keys and tokens; workspaces, groups and roles: who is asking, and who may."""
