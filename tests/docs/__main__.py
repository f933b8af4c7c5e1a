"""Say how many of the docs' commands a test runs, and why the others are not run: `python -m tests.docs`."""

from rich.console import Console
from rich.table import Table

from tests.docs.blocks import Kind, pages, run_and_all


def main() -> None:
    table = Table("page", "run", "of", "not run, and why")
    for page in pages():
        run, there = run_and_all([page])
        why = [f"line {block.line}: {block.detail}" for block in page.of(Kind.NOT_RUN, Kind.UNMARKED)]
        if there:
            table.add_row(page.name, str(run), str(there), "\n".join(why))
    table.add_section()
    table.add_row("all", *map(str, run_and_all(pages())), "")
    Console().print(table)


if __name__ == "__main__":
    main()
