"""The console command `strefer`: a thin skin over the library. Commands load what they need when they run."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Literal

import click

from engines.errors import UserError
from engines.store import check_process_environment
from stream.log import LogAwayError
from stream.logs import settle_logs

_COMMANDS = {
    "annotate": ("stream.cli_annotate", "annotate", "Annotate video into a folder: events, overlay, report."),
    "doctor": ("stream.doctor", "doctor", "Say what is installed and works, with the mend for what does not."),
    "engines": ("engines.cli_engines", "engines", "List, build, verify and time the networks as engines."),
    "export": ("instruct.cli_export", "export", "Write masks in the formats that evaluators and tools read."),
    "instruct": ("instruct.cli", "instruct", "Turn annotations into question-answer pairs that refer to regions."),
    "models": ("engines.cli", "models", "List, fetch and find the networks' files."),
    "produce": ("producers.cli", "produce", "Cut video into chunks and write them to a feed of the log."),
    "profile": ("stream.cli_profiling", "profile", "Measure what this machine does with a source; compare runs."),
    "query": ("stream.cli_query", "query", "Ask feeds for entities while they run."),
    "deadletter": ("stream.cli_deadletter", "deadletter", "List, show and replay messages no worker could use."),
    "topics": ("stream.cli_topics", "topics", "Make and describe the topics on Kafka."),
    "view": ("stream.cli_view", "view", "Show a log's feeds on a web page, live."),
    "worker": ("stream.cli_worker", "worker", "Follow the feeds of a log until stopped."),
}


class _Late(click.Group):
    """A group whose commands are imported when they are called: `strefer --help` stays quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, name, _ = _COMMANDS[cmd_name]
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, _COMMANDS[name][2]) for name in sorted(_COMMANDS)])


@click.group(cls=_Late, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="strefer-stream", prog_name="strefer")
@click.option("--log-format", "log_format", type=click.Choice(["text", "json"]), default="text", show_default=True,
              help="Log lines for people, or one JSON object a line, with feed and seq.")  # fmt: skip
def cli(log_format: Literal["text", "json"]) -> None:
    """Strefer as a live stream: who is in a video, when, where and doing what.

    \b
    Examples:
      strefer annotate clip.mp4 --out clip.annotated --query "the dog"
      strefer produce rtsp://camera/stream --feed door --log run &  strefer worker --log run
      strefer --log-format json worker --kafka broker:9092
    """
    settle_logs(log_format)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Every mistake a user can make is one line on stderr and exit code 2."""
    try:
        check_process_environment()
        cli.main(list(arguments) if arguments is not None else None, standalone_mode=False)
    except (UserError, LogAwayError) as e:
        return _fail(str(e))
    except click.exceptions.NoArgsIsHelpError as e:
        click.echo(e.format_message())
        return 0
    except click.ClickException as e:
        return _fail(e.format_message().replace("\n", " "))
    except (click.Abort, KeyboardInterrupt):
        click.echo("strefer: stopped", err=True)
        return 130
    except click.exceptions.Exit as e:
        return e.exit_code
    return 0


def _fail(message: str) -> int:
    click.echo(f"strefer: {message}", err=True)
    return 2


if __name__ == "__main__":
    sys.exit(main())
