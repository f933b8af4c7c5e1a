"""Logs name what failed without quoting it."""

import io
import json
from contextlib import redirect_stdout

import structlog

from shared.observe import configure_logging


def test_a_log_line_names_an_exception_and_its_way_but_never_its_message() -> None:
    written = io.StringIO()
    with redirect_stdout(written):
        configure_logging("tests")
        structlog.reset_defaults()
        configure_logging("tests")
        try:
            int("x6222021234567890")
        except ValueError:
            structlog.get_logger().exception("it_failed")
    structlog.reset_defaults()
    configure_logging("tests")
    line = json.loads(written.getvalue().splitlines()[-1])
    assert line["event"] == "it_failed"
    assert line["exception"] == "ValueError"
    assert "test_observe.py" in line["way"][-1]
    assert "6222021234567890" not in written.getvalue()
