"""Our topics on a Kafka cluster: their settings, creation and description."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource
from kafka.errors import TopicAlreadyExistsError

from engines.errors import UserError
from stream.log import ANNOTATIONS, CHUNKS, DEADLETTER, INSTRUCTIONS, TOPICS, Topic
from stream.log.kafka.clients import MESSAGE_BYTES, translated

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
_RETENTION_MS = {CHUNKS: DAY_MS, ANNOTATIONS: 7 * DAY_MS, DEADLETTER: 14 * DAY_MS, INSTRUCTIONS: 7 * DAY_MS}
_COMPRESSED = (ANNOTATIONS, INSTRUCTIONS)
"""JSON; the broker compresses it. Chunks and states are compressed already."""


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic as the cluster has it; no partitions where it is not there."""

    name: str
    partitions: int
    replicas: int
    settings: dict[str, str]
    """Those that we ask for, as they are."""
    asked: dict[str, str]


def settings(topic: Topic) -> dict[str, str]:
    """The topic's configuration."""
    common = {"max.message.bytes": str(MESSAGE_BYTES)}
    if topic.compacted:
        # A new owner of a partition reads its states: what has been overtaken must not lie about for long.
        return common | {
            "cleanup.policy": "compact",
            "segment.bytes": str(32 << 20),
            "segment.ms": str(HOUR_MS // 6),
            "min.cleanable.dirty.ratio": "0.1",
            "delete.retention.ms": str(HOUR_MS),
        }
    codec = {"compression.type": "zstd"} if topic.name in _COMPRESSED else {}
    return common | codec | {"cleanup.policy": "delete", "retention.ms": str(_RETENTION_MS[topic.name])}


def missing(admin: KafkaAdminClient, prefix: str) -> list[Topic]:
    with translated("listing Kafka's topics"):
        there = set(admin.list_topics())
    return [t for t in TOPICS if prefix + t.name not in there]


def create(
    admin: KafkaAdminClient, prefix: str, topics: Sequence[Topic], partitions: int | None = None, replicas: int = -1
) -> None:
    """Make topics that are not there. `partitions` instead of the default, but for the dead letters' one;
    `replicas`: -1 for the broker's default."""
    wanted = {
        prefix + t.name: {
            "num_partitions": t.partitions if partitions is None or t.partitions == 1 else partitions,
            "replication_factor": replicas,
            "configs": settings(t),
        }
        for t in topics
    }
    with translated("making Kafka's topics"):
        try:
            admin.create_topics(wanted, wait_for_metadata=True)
        except TopicAlreadyExistsError:  # another process was quicker
            admin.wait_for_topics(list(wanted))


def describe(admin: KafkaAdminClient, prefix: str) -> list[TopicState]:
    absent = {t.name for t in missing(admin, prefix)}
    found = []
    with translated("describing Kafka's topics"):
        for topic in TOPICS:
            name = prefix + topic.name
            if topic.name in absent:
                found.append(TopicState(name, 0, 0, {}, settings(topic)))
                continue
            (about,) = admin.describe_topics([name])
            configs = admin.describe_configs([ConfigResource("TOPIC", name)], config_filter="all")
            values = configs["topic"][name]
            now = {key: str(values[key]["value"]) for key in settings(topic)}
            partitions = about["partitions"]
            found.append(TopicState(name, len(partitions), len(partitions[0]["replica_nodes"]), now, settings(topic)))
    return found


def partition_counts(admin: KafkaAdminClient, prefix: str) -> dict[str, int]:
    """Partitions of each of our topics. Raises UserError where one is missing."""
    with translated("describing Kafka's topics"):
        about = {t["name"]: len(t["partitions"]) for t in admin.describe_topics([prefix + t.name for t in TOPICS])}
    absent = [t.name for t in TOPICS if not about.get(prefix + t.name)]
    if absent:
        raise UserError(f"Kafka has no topic {prefix + absent[0]}: strefer topics create makes it")
    return {t.name: about[prefix + t.name] for t in TOPICS}
