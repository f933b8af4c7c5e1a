"""`python -m services.rules`: serve, without loading the command line's tools."""

from services.rules.app import RulesSettings, build
from shared.http import serve
from shared.observe import configure_logging

if __name__ == "__main__":
    settings = RulesSettings()
    configure_logging("rules")
    serve(build(settings), settings.host, settings.port)
