"""`make stop`: end a run of this checkout that was left behind."""

import sys

from deploy.local.config import CannotRunError, Local
from deploy.local.stack import running_pid, stop


def main() -> None:
    """Stop the supervisor of the data folder, if it runs."""
    try:
        pid = running_pid(Local.from_environment())
    except CannotRunError as error:
        sys.exit(str(error))
    if pid is not None:
        stop(pid)
        print(f"stopped the run with pid {pid}")


if __name__ == "__main__":
    main()
