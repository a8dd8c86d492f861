"""The command line itself."""

import argparse
import sys
from collections.abc import Sequence

from . import __version__, download, galleries, login, source
from .errors import DISK, NETWORK, STOPPED, CommandError, Cut
from .say import say


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    made = argparse.ArgumentParser(prog="safelight", description="Client galleries from the command line.")
    made.add_argument("--version", action="version", version=f"safelight {__version__}")
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")

    down = commands.add_parser("download", help="all photos of a link, or of a gallery of yours, as one ZIP")
    down.add_argument(
        "what", metavar="LINK_OR_GALLERY", help="a link like https://photos.example/s/… or a gallery's id"
    )
    down.add_argument("--size", choices=["original", "web"], help="default: the largest that the link gives")
    down.add_argument("--to", metavar="DIR_OR_FILE", help="where to; default: here, under the gallery's name")
    down.add_argument("--password-stdin", action="store_true", help="read a locked link's password from standard input")
    down.add_argument("--extract", action="store_true", help="unpack it beside the ZIP, into a folder of the same name")

    sign = commands.add_parser("login", help="sign in as a photographer; the session is kept for you alone")
    sign.add_argument("url", metavar="URL", help="the server's address, like https://photos.example")
    sign.add_argument("--name", help="e-mail or username; asked for when it is not given")
    sign.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    sign.add_argument("--allow-http", action="store_true", help="send the password over http to another machine")

    commands.add_parser("galleries", help="your galleries: id, number of photos, title")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code (see `cli.errors`)."""
    given = parser().parse_args(arguments)
    try:
        _run(given)
    except CommandError as error:
        say(f"safelight: {error}")
        return error.code
    except Cut as cut:
        say(f"safelight: {cut}. Run the same command again.")
        return NETWORK
    except KeyboardInterrupt:
        kept = " What has come is kept: run the same command again to go on." if given.command == "download" else ""
        say(f"Stopped.{kept}")
        return STOPPED
    except BrokenPipeError:
        return 0  # whoever read our output has enough
    except OSError as error:
        say(f"safelight: {error.filename or 'the disk'}: {error.strerror or error}")
        return DISK
    return 0


def _run(given: argparse.Namespace) -> None:
    if given.command == "download":
        found = source.find(given.what, given.size, password_stdin=given.password_stdin)
        download.download(found, given.to, unpack=given.extract)
    elif given.command == "login":
        login.sign_in(given.url, given.name, password_stdin=given.password_stdin, allow_http=given.allow_http)
    else:
        galleries.list_galleries()


if __name__ == "__main__":
    sys.exit(main())
