"""`strefer topics`: our topics on a Kafka cluster."""

from __future__ import annotations

from contextlib import closing

import click

from engines.errors import UserError
from engines.finite import Finite
from stream.cli_log import log_options
from stream.cli_table import echo_table
from stream.log.place import Place

_EPILOG = """\b
Examples:
  strefer topics create --kafka broker:9092 --partitions 32 --replicas 3
  strefer topics describe --kafka broker:9092
  strefer topics clean --kafka broker:9092 --claims s3://bucket/claims
"""


@click.group(epilog=_EPILOG)
def topics() -> None:
    """Make, describe and clean up strefer's topics on Kafka."""


@topics.command()
@log_options
@click.option("--partitions", type=click.IntRange(min=1), default=8, show_default=True, metavar="N",
              help="Of every topic but the dead letters': at least as many as workers ever wanted.")  # fmt: skip
@click.option("--replicas", type=click.IntRange(min=1), metavar="R",
              help="Copies of each partition.  [default: the broker's]")  # fmt: skip
def create(place: Place, partitions: int, replicas: int | None) -> None:
    """Make the topics that are not there yet; those that are stay as they are.

    Partitions cannot be added later without moving feeds to other partitions, which breaks their order.
    """
    with closing(place.clients().admin()) as admin:
        from stream.log.kafka import topics as kafka_topics

        absent = kafka_topics.missing(admin, place.prefix)
        if absent:
            kafka_topics.create(admin, place.prefix, absent, partitions, -1 if replicas is None else replicas)
        for name, count in kafka_topics.partition_counts(admin, place.prefix).items():
            new = "made" if any(t.name == name for t in absent) else "was there"
            click.echo(f"{place.prefix}{name}: {count} partitions, {new}")


@topics.command()
@log_options
def describe(place: Place) -> None:
    """List the topics, their partitions, copies, and settings that are not as strefer makes them."""
    with closing(place.clients().admin()) as admin:
        from stream.log.kafka.topics import describe as describe_topics

        found = describe_topics(admin, place.prefix)
    rows = []
    for topic in found:
        other = [f"{k}={v} (ours: {topic.asked[k]})" for k, v in topic.settings.items() if v != topic.asked[k]]
        state = (
            "not there: strefer topics create" if not topic.partitions else ", ".join(other) or "as strefer makes it"
        )
        rows.append((topic.name, str(topic.partitions), str(topic.replicas), state))
    echo_table(("topic", "partitions", "copies", "settings"), rows)


@topics.command()
@log_options
@click.option("--older-than-days", type=Finite(min=0), default=14.0, show_default=True, metavar="D",
              help="Longer than the topics keep messages, or some are left without their value.")  # fmt: skip
def clean(place: Place, older_than_days: float) -> None:
    """Delete large messages' values (--claims) that no topic refers to any more, by their age."""
    place.clients()
    if not place.claims:
        raise UserError("--claims is wanted: where large messages are kept")
    from stream.log import TOPICS
    from stream.log.kafka.claims import Claims

    claims = Claims(place.claims)
    hours = sum(claims.clean(topic.name, older_than_days * 86_400) for topic in TOPICS)
    click.echo(f"{hours} hours of large messages deleted from {place.claims}")
