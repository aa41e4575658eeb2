"""Short ways to write a workflow's document in a test."""


def make_document(steps: str, rest: str = "", name: str = "scenario") -> str:
    """A document with these steps (YAML of a list, not indented); `rest` are further fields of the document."""
    lines = "\n".join("  " + line for line in steps.strip("\n").splitlines())
    return f"flowforge: 1\nname: {name}\nsteps:\n{lines}\n{rest}"
