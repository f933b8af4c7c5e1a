"""`python -m deploy.grafana write | check`: the committed dashboards, generated from the code."""

from pathlib import Path
from typing import Final

import typer

from deploy.grafana.boards import BOARDS
from deploy.grafana.drawing import text_of

FOLDER: Final = Path(__file__).parent / "dashboards"
commands = typer.Typer(help="The Grafana dashboards.", no_args_is_help=True, add_completion=False)


def texts() -> dict[str, str]:
    """Return what each file must hold, by its name."""
    return {f"{board.uid.removeprefix('lanjie-')}.json": text_of(board) for board in BOARDS}


def drift(folder: Path) -> list[str]:
    """Return what is wrong with the committed dashboards: missing, out of date, or left over."""
    wanted = texts()
    found = [f"{path.name} is left over" for path in sorted(folder.glob("*.json")) if path.name not in wanted]
    for name, text in wanted.items():
        path = folder / name
        if not path.exists():
            found.append(f"{name} is missing")
        elif path.read_text(encoding="utf-8") != text:
            found.append(f"{name} is out of date")
    return found


@commands.command()
def write() -> None:
    """Write the dashboards anew."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in texts().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    typer.echo(f"wrote {len(texts())} dashboards to {FOLDER}")


@commands.command()
def check() -> None:
    """Fail where the committed dashboards differ from the code."""
    problems = drift(FOLDER)
    for problem in problems:
        typer.secho(problem, fg="red", err=True)
    if problems:
        typer.echo("'make dashboards' writes them anew", err=True)
        raise typer.Exit(1)
    typer.echo(f"{len(texts())} dashboards are true")


if __name__ == "__main__":
    commands()
