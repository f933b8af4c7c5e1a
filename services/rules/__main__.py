"""`python -m services.rules`: serve, without loading the command line's tools."""

from services.rules.app import build
from shared.http import serve
from shared.observe import configure_logging
from shared.settings import Settings

if __name__ == "__main__":
    settings = Settings()
    configure_logging("rules")
    serve(build(settings), settings.host, settings.port)
