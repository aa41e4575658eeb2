"""Commands on a server: what `--url` names, instead of a data folder.

`table` says which command has a form that speaks REST; `switch` is the one place where a call takes the one way or the other. A function
here has the options of its local command, by the same names, and the connection instead of the context.
"""
