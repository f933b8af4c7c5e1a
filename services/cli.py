"""The `lanjie` command: mounts the services' own, the dead letters' and the contracts', nothing else."""

import typer

from services import contracts, dead, metrics_page, trace
from services.intake.cli import commands as intake
from services.notifier.cli import commands as notifier
from services.notifier.commands.ledger import commands as ledger
from services.rules.cli import commands as rules

main = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False)
main.add_typer(intake, name="intake")
main.add_typer(rules, name="rules")
main.add_typer(notifier, name="notifier")
main.add_typer(ledger, name="ledger")
main.add_typer(dead.commands, name="dead")
main.add_typer(contracts.commands, name="contracts")
main.add_typer(metrics_page.commands, name="metrics")
main.command()(trace.trace)
