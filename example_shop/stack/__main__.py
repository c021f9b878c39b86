"""`python -m example_shop.stack`: the shop, or Postgres and Valkey for the time of one command."""

import argparse
import sys

COMMANDS = {
    "shop": "set the shop up where it is not yet, and run all of it until Ctrl-C",
    "services": "run a command with a fresh Postgres and Valkey in DATABASE_URL and BROKER_URL",
    "clean": "remove the shop's data",
}


def main() -> int:
    """Run one of COMMANDS and return the exit status."""
    description = "\n".join(f"{name:<9} {text}" for name, text in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="python -m example_shop.stack",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=COMMANDS)
    parser.add_argument("command", nargs=argparse.REMAINDER, help="for services: what to run")
    arguments = parser.parse_args()
    try:
        return run(arguments.what, arguments.command)
    except KeyboardInterrupt:
        print("Stopped.")
        return 0
    except (OSError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1


def run(what: str, command: list[str]) -> int:
    """Import what the command needs and nothing else: `clean` works without the virtual environment."""
    if what == "shop":
        from .shop import run_shop

        run_shop()
        return 0
    if what == "services":
        from .scratch import run_with_services

        return run_with_services(command)
    from .cleaning import remove_data

    remove_data()
    return 0


if __name__ == "__main__":
    sys.exit(main())
