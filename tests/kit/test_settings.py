from pathlib import Path

import pytest
from pydantic import ValidationError as PydanticError

from flowforge.kit.limits import Limits
from flowforge.kit.settings import FileRoot, LogLevel, Settings
from flowforge.kit.settings_source import SettingsError, describe_settings, load_settings

KEY = "0123456789abcdef" * 4


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def load(data: Path, **variables: str) -> Settings:
    return load_settings({f"FLOWFORGE_{name}": value for name, value in variables.items()}, data=data)


def refuse(data: Path, **variables: str) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        load(data, **variables)
    return caught.value


def test_defaults_hold_when_nothing_is_set(data: Path):
    settings = load(data)
    assert (settings.data, settings.beat_ms, settings.expiry_ms) == (data, 10_000, 30_000)
    assert settings.limits == Limits()
    assert settings.list_file_roots() == (FileRoot("work", data / "work"),)


def test_variables_are_read_with_their_units(data: Path):
    settings = load(
        data,
        STEP_TIMEOUT="90s",
        KEEP_RUNS="PT1H",
        RUN_TIMEOUT="0",
        LIMIT_HTTP_BODY="2MiB",
        LIMIT_EXPR_OPS="5000",
        LOG_LEVEL="debug",
        MOCKS="on",
        FILE_ROOTS="in=/srv/in, out=~/out",
    )
    assert (settings.limits.step_timeout_ms, settings.keep_runs_ms, settings.run_timeout_ms) == (90_000, 3_600_000, 0)
    assert (settings.limits.http_body_bytes, settings.limits.expr_ops) == (2 * 2**20, 5_000)
    assert (settings.log_level, settings.mocks) == (LogLevel.DEBUG, True)
    assert settings.list_file_roots() == (FileRoot("in", Path("/srv/in")), FileRoot("out", Path.home() / "out"))


def test_other_variables_are_left_alone(data: Path):
    assert load_settings({"PATH": "/bin", "flowforge_beat": "x"}, data=data).beat_ms == 10_000


def test_settings_are_frozen(data: Path):
    settings = load(data)
    with pytest.raises(PydanticError):
        settings.beat_ms = 5


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("RUNS_MX", "5", "There is no setting FLOWFORGE_RUNS_MX: did you mean FLOWFORGE_RUNS_MAX?"),
        ("BANANA", "5", "There is no setting FLOWFORGE_BANANA. Unset it; `flowforge settings` lists what there is."),
        ("RUNS_MAX", "0", "FLOWFORGE_RUNS_MAX '0' is refused: it must be 1 to 100000."),
        ("RUNS_MAX", "many", "FLOWFORGE_RUNS_MAX 'many' is refused: it must be 1 to 100000."),
        ("BEAT", "10", "FLOWFORGE_BEAT '10' is refused: '10' is no duration; write it like 30s, 5m, 1h30m, 7d or PT30S."),
        ("LIMIT_HTTP_BODY", "9GiB", "FLOWFORGE_LIMIT_HTTP_BODY '9GiB' is refused: it must be 1KiB to 1GiB."),
        ("LOG_LEVEL", "loud", "FLOWFORGE_LOG_LEVEL 'loud' is refused: it must be debug or info or warning or error."),
        ("MOCKS", "perhaps", "FLOWFORGE_MOCKS 'perhaps' is refused: it must be on or off."),
        ("FILE_ROOTS", "work", "FLOWFORGE_FILE_ROOTS 'work' is refused: 'work' is not of the form name=folder."),
        ("FILE_ROOTS", "a=/x,a=/y", "The settings do not fit together: FILE_ROOTS names a root twice."),
        ("EXPIRY", "15s", "The settings do not fit together: EXPIRY must be at least twice BEAT, which is 10s."),
    ],
)
def test_bad_setting_is_refused_with_the_sentence_that_mends_it(data: Path, variable: str, value: str, sentence: str):
    assert refuse(data, **{variable: value}).message == sentence


@pytest.mark.parametrize("key", ["short", "0" * 64, "g" * 64, KEY + "0"])
def test_a24_key_that_is_short_or_an_example_is_refused_and_not_shown(data: Path, key: str):
    refused = refuse(data, ENCRYPTION_KEY=key)
    assert refused.message.startswith("FLOWFORGE_ENCRYPTION_KEY is refused: ")
    assert "openssl rand -hex 32" in refused.message
    assert key not in refused.message


def test_every_unknown_setting_is_told_at_once(data: Path):
    assert [detail.code for detail in refuse(data, AAA="1", BBB="2").details] == ["setting_unknown"] * 2


def test_value_is_read_from_a_file(data: Path, tmp_path: Path):
    (tmp_path / "key").write_text(KEY + "\n")
    settings = load(data, ENCRYPTION_KEY_FILE=str(tmp_path / "key"))
    assert settings.encryption_key is not None
    assert settings.encryption_key.get_secret_value() == KEY


def test_file_that_cannot_be_read_is_named(data: Path, tmp_path: Path):
    refused = refuse(data, ENCRYPTION_KEY_FILE=str(tmp_path / "none"))
    expected = f"FLOWFORGE_ENCRYPTION_KEY_FILE names {tmp_path / 'none'}, which cannot be read: No such file or directory."
    assert refused.message == expected


def test_variable_and_its_file_together_are_refused(data: Path):
    refused = refuse(data, BEAT="1s", BEAT_FILE="/x")
    assert refused.message == "FLOWFORGE_BEAT_FILE and FLOWFORGE_BEAT are both set; keep one of them."


def test_environment_beats_config_file_and_both_beat_the_default(data: Path):
    data.mkdir()
    (data / "config.toml").write_text('beat = "5s"\nruns_max = 7\nlimit_expr_ops = 1000\n')
    settings = load(data, RUNS_MAX="9")
    assert (settings.beat_ms, settings.runs_max, settings.limits.expr_ops) == (5_000, 9, 1_000)
    origins = {row.name: row.origin for row in describe_settings({"FLOWFORGE_RUNS_MAX": "9"}, data=data)}
    assert origins["FLOWFORGE_BEAT"] == "config.toml"
    assert origins["FLOWFORGE_RUNS_MAX"] == "environment"
    assert origins["FLOWFORGE_EXPIRY"] == "default"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("beet = 1", "There is no setting beet: did you mean beat?"),
        ('data = "/x"', "There is no setting data"),
        ("beat = ", "is no TOML"),
        ("runs_max = 0", "runs_max in config.toml '0' is refused: it must be 1 to 100000."),
        ("[limits]\nexpr_ops = 5", "There is no setting limits"),
    ],
)
def test_bad_config_file_is_refused(data: Path, text: str, part: str):
    data.mkdir()
    (data / "config.toml").write_text(text)
    assert part in refuse(data).message


def test_data_folder_of_the_variable_gives_its_config(tmp_path: Path):
    (tmp_path / "config.toml").write_text("runs_max = 3")
    assert load_settings({"FLOWFORGE_DATA": str(tmp_path)}).runs_max == 3


def test_every_setting_is_described_and_no_key_is_shown(data: Path):
    rows = describe_settings({"FLOWFORGE_ENCRYPTION_KEY": KEY}, data=data)
    assert len(rows) == len(Settings.model_fields) - 1 + len(Limits.model_fields)
    assert all(row.description.endswith(".") for row in rows)
    assert all(row.bounds for row in rows if row.kind in {"number", "duration", "size", "switch"})
    assert KEY not in str(rows)
