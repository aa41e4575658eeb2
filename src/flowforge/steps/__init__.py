"""The operations themselves, one function in one file each."""
