"""The table of fault codes."""

import re
from pathlib import Path

import flowforge.language
from flowforge.language.codes import CODES

SOURCE = Path(flowforge.language.__file__).parent
TOLD = re.compile(r'(?:\.add|\.put|\.warn|Refusal|_refuse|ExpressionFault|\bnote|\bnote_link)\(\s*(?:target, )?"([a-z_]+)"')


def test_every_code_in_the_source_is_in_the_table():
    told = {code for file in SOURCE.rglob("*.py") for code in TOLD.findall(file.read_text())}
    assert len(told) > 40
    assert told - set(CODES) == set()


def test_every_code_says_what_it_means_and_what_to_do():
    for code, entry in CODES.items():
        assert entry.code == code
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", code)
        assert entry.meaning.endswith(".")
        assert entry.remedy.endswith(".")
