"""What a process is told: by its environment, or by files, so that no secret has to stand in the environment."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from services.rules.app import RulesSettings
from shared.broker_tls import Tls, client_options, security
from shared.settings import BrokerFiles, told

KEY = "n1:" + "A" * 43 + "="


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder with secrets, and nothing in the environment."""
    for name in ("DATABASE_URL", "NARRATIVE_KEYS", "KAFKA_BOOTSTRAP_SERVERS", "PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path))
    return tmp_path


def test_a_file_is_a_variable_and_the_environment_goes_before_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"database_url": "postgresql://a", "narrative_keys": f"{KEY}\n", "port": "1"}.items():
        (folder / name).write_text(value, encoding="utf-8")
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "b:9092")
    monkeypatch.setenv("PORT", "8702")
    settings = RulesSettings()
    assert (settings.database_url, settings.narrative_keys, settings.port) == ("postgresql://a", KEY, 8702)


def test_a_command_reads_the_same_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "database_url").write_text("postgresql://a\n", encoding="utf-8")
    assert told("DATABASE_URL") == "postgresql://a"
    assert told("NARRATIVE_KEYS") is None
    monkeypatch.setenv("DATABASE_URL", "postgresql://b")
    assert told("DATABASE_URL") == "postgresql://b"


def test_without_files_the_brokers_are_spoken_to_in_plain_text() -> None:
    assert BrokerFiles().broker_tls() is None
    assert client_options(None) == {}
    assert security(None) is None


def test_a_certificate_needs_its_key_and_an_authority(tmp_path: Path) -> None:
    paths = {name: tmp_path / name for name in ("ca", "certificate", "key")}
    for path in paths.values():
        path.touch()
    given = {f"kafka_{name}_file": path for name, path in paths.items()}
    assert BrokerFiles.model_validate(given).broker_tls() == Tls(paths["ca"], paths["certificate"], paths["key"])
    for missing in ("ca", "key", "certificate"):
        some = {name: path for name, path in given.items() if missing not in name}
        if missing == "certificate":
            some.pop("kafka_ca_file")
        with pytest.raises(ValidationError, match=r"KAFKA_\w+_FILE"):
            BrokerFiles.model_validate(some)


def test_a_file_that_is_not_there_is_named_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="kafka_ca_file"):
        BrokerFiles.model_validate({"kafka_ca_file": tmp_path / "nobody.pem"})


def test_files_that_cannot_be_read_are_an_error_that_clients_try_again_after(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("half a certificate", encoding="utf-8")
    with pytest.raises(OSError, match=r"PEM|certificate|file"):
        Tls(tmp_path / "ca.pem").context()
