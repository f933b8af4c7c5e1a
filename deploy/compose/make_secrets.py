"""Make the secrets that `deploy/compose.yaml` mounts, once: `python3 deploy/compose/make_secrets.py`.

Needs nothing but Python. What is there already stays as it is: another key would not open what is stored.
"""

import base64
import secrets
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "secrets"
SERVICES: Final = ("intake", "rules", "notifier")


def main() -> None:
    """Write what is missing. The folder is the owner's alone; the files can be read by the containers' users."""
    FOLDER.mkdir(mode=0o700, exist_ok=True)
    passwords = {service: secrets.token_urlsafe(24) for service in SERVICES}
    for service in SERVICES:
        passwords[service] = _keep(f"{service}_password", passwords[service])
        _keep(f"{service}_database_url", f"postgresql://{service}:{passwords[service]}@postgres:5432/{service}")
    _keep("narrative_keys", f"n1:{_key()}")
    _keep("identity_keys", f"i1:{_key()}")
    _keep("token_key", _key())
    for name in ("postgres_password", "grafana_password", "gateway_token"):
        _keep(name, secrets.token_urlsafe(24))


def _key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def _keep(name: str, value: str) -> str:
    path = FOLDER / name
    if not path.exists():
        path.write_text(value, encoding="utf-8")
        path.chmod(0o644)
    return path.read_text(encoding="utf-8")


if __name__ == "__main__":
    main()
