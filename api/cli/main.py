"""`advisor`: the commands, and the one place where errors become exit codes."""

import sys
from typing import NoReturn

import typer

from api.cli import (
    ask,
    bench,
    compress,
    cost,
    doctor,
    keys,
    mcp,
    monitor,
    optimize,
    plan,
    profile,
    quantize,
    serve,
    sessions,
    setup,
    watch_dir,
    workload,
)
from knowledge.errors import AdvisorError

app = typer.Typer(
    name="advisor",
    help="Делает inference LLM быстрее и дешевле и доказывает это измерениями.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for module in (
    *(doctor, setup, plan, cost, ask, profile, optimize, bench, workload, sessions),
    *(quantize, compress, serve, keys, watch_dir, mcp, monitor),
):
    module.register(app)


def main() -> NoReturn:
    """Exit codes: 0 done, 2 bad input, 3 nothing measured, 4 SLO can't be met, 130 cancelled."""
    try:
        code = app(standalone_mode=False) or 0
    except AdvisorError as error:
        print(f"advisor: {error}", file=sys.stderr)
        code = error.exit_code
    except typer.Exit as end:
        code = end.exit_code
    except KeyboardInterrupt:
        code = 130
    except Exception as error:  # what typer says of the command line has a message of its own
        if not hasattr(error, "format_message"):
            raise
        print(f"advisor: {error.format_message()}. Справка: advisor --help", file=sys.stderr)
        code = 2
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
