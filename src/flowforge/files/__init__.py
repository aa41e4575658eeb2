"""Files that people and programs send and fetch; their bytes lie in the object store."""
