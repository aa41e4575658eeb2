import pytest
from tests.docs.blocks import matches, read_blocks, read_commands

PAGE = """\
# Start

```yaml order.yaml
flowforge: 1
name: order
```

```console
$ git clone …
$ flowforge run order.yaml
one

$ flowforge runs show x  # exit 4
$ flowforge settings
$ printf value | flowforge secrets set NAME
```
"""


def test_blocks_of_a_page_are_found_with_their_place():
    workflow, console = read_blocks(PAGE)
    assert (workflow.language, workflow.title, workflow.line, workflow.is_workflow) == ("yaml", "order.yaml", 4, True)
    assert (console.language, console.line, console.is_workflow) == ("console", 9, False)


def test_our_commands_are_found_with_exit_code_and_output():
    commands = read_commands(read_blocks(PAGE)[1])
    assert [(command.line, command.text, command.exit_code) for command in commands] == [
        (10, "flowforge run order.yaml", 0),
        (13, "flowforge runs show x", 4),
        (14, "flowforge settings", 0),
        (15, "printf value | flowforge secrets set NAME", 0),
    ]
    assert [command.shown for command in commands] == [["one", ""], [], [], []]


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ([], "anything\n"),
        (["one", "two", ""], "one  \ntwo\n"),
        (["run_… done"], "run_0123 done\n"),
        (["first", "…", "last"], "first\n2\n3\nlast\n"),
        (["first", "…"], "first\n"),
        (["a (b) [c]"], "a (b) [c]"),
    ],
)
def test_output_that_is_shown_matches(shown: list[str], printed: str):
    assert matches(shown, printed)


@pytest.mark.parametrize(
    ("shown", "printed"), [(["one"], "two\n"), (["one"], "one\ntwo\n"), (["a.c"], "abc\n"), (["a … c"], "a b\nc\n")]
)
def test_output_that_is_not_shown_does_not_match(shown: list[str], printed: str):
    assert not matches(shown, printed)
