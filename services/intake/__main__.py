"""`python -m services.intake`: serve, without loading the command line's tools."""

from services.intake.app import Settings, build
from shared.http import serve
from shared.observe import configure_logging

if __name__ == "__main__":
    settings = Settings()
    configure_logging("intake")
    serve(build(settings), settings.host, settings.port)
