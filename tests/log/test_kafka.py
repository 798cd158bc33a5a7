"""What the Kafka log does beyond the contract: topics, large messages, zombies, settings, security."""

from __future__ import annotations

import datetime
import gc
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError

from engines.errors import UserError
from stream.cli import main
from stream.cli_log import place_of, read_config
from stream.log import (
    ANNOTATIONS,
    CHUNKS,
    CLAIM,
    DEADLETTER,
    LOST_CLAIM,
    STATE,
    FencedError,
    LogAwayError,
    Message,
    Record,
)
from stream.log.kafka import KafkaLog
from stream.log.kafka.claims import Claims
from stream.log.kafka.clients import Clients
from stream.log.kafka.consumer import BUFFER_RECORDS, KafkaMember
from stream.log.kafka.transaction import partition_of
from tools.kafka.broker import JarBroker

Open = Callable[..., KafkaLog]


@pytest.fixture
def open_kafka(kafka: str) -> Iterator[Open]:
    """Opens logs on one broker, under one new prefix."""
    prefix, logs = f"k{uuid.uuid4().hex[:8]}-", list[KafkaLog]()

    def open_(**settings: str) -> KafkaLog:
        logs.append(KafkaLog((kafka,), prefix=prefix, **settings))
        return logs[-1]

    yield open_
    for log in logs:
        log.close()


def one(member: KafkaMember, within_s: float = 20.0) -> Record:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if records := member.poll(max_records=1, timeout_s=0.2):
            return records[0]
    raise AssertionError("nothing came")


def test_a_large_message_travels_by_claim_check(open_kafka: Open, tmp_path: Path) -> None:
    log = open_kafka(claims=f"file://{tmp_path / 'claims'}")
    large, small = bytes(range(256)) * 8000, b"small"
    with log.transaction() as tx:
        tx.send(Message(CHUNKS, "door", large, {"n": "1"}))
        tx.send(Message(CHUNKS, "door", small, {"n": "2"}))
    first, second = log.read(CHUNKS, key="door")
    assert (first.value, second.value) == (large, small)
    assert (CLAIM in first.headers, CLAIM in second.headers) == (True, False)
    (file,) = [p for p in (tmp_path / "claims").rglob("*") if p.is_file()]
    assert file.read_bytes() == large
    file.unlink()
    lost, _ = log.read(CHUNKS, key="door")
    assert lost.value == b""
    assert "no such object" in lost.headers[LOST_CLAIM]


def test_a_claim_reaches_nothing_outside_its_place(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    claims = Claims(f"file://{tmp_path / 'claims'}")
    for reference in (
        "../secret?crc32=1",
        f"{tmp_path}/secret?crc32=1",
        "file:///etc/passwd?crc32=1",
        "x/../../secret",
    ):
        with pytest.raises(ValueError, match="outside"):
            claims.redeem(reference)


def test_old_claims_are_cleaned_away_by_the_hour(tmp_path: Path) -> None:
    claims = Claims(f"file://{tmp_path}")
    noon = datetime.datetime(2026, 11, 24, 12, tzinfo=datetime.UTC)
    for hours in (0, 5, 30):
        claims.check_in(Message(CHUNKS, "f", bytes([hours]) * 1_000_000), noon - datetime.timedelta(hours=hours))
    assert claims.clean(CHUNKS, 24 * 3600, noon) == 1
    assert claims.clean(CHUNKS, 2 * 3600, noon) == 1
    assert claims.clean(ANNOTATIONS, 0, noon) == 0
    assert len([p for p in tmp_path.rglob("*") if p.is_file()]) == 1


def test_a_message_over_the_topics_limit_is_one_line(open_kafka: Open) -> None:
    log = open_kafka()
    with pytest.raises(UserError, match="--claims"), log.transaction() as tx:
        tx.send(Message(CHUNKS, "door", bytes(9 << 20)))
    with log.transaction() as tx:
        tx.send(Message(CHUNKS, "door", b"ok"))
    assert [r.value for r in log.read(CHUNKS)] == [b"ok"]


def test_a_member_thrown_out_of_its_group_cannot_commit(open_kafka: Open) -> None:
    """The commit of a client without an id would not be checked by the broker at all."""
    log = open_kafka()
    with log.transaction() as tx:
        tx.send(Message(CHUNKS, "door", b"1"))
    zombie = log.consumer("g", [CHUNKS], session_timeout_s=2.0)
    record = one(zombie)
    zombie._client._coordinator.reset_generation()  # as after a heartbeat that was answered by "unknown member"
    with pytest.raises(FencedError), log.transaction() as tx:  # noqa: PT012
        tx.send(Message(ANNOTATIONS, "door", b"void"))
        tx.commit_offset(zombie, record)
    assert list(log.read(ANNOTATIONS)) == []


def test_a_writer_that_is_fenced_says_so_however_its_client_words_it(open_kafka: Open) -> None:
    """A client that heard of it before the commit says "in an error state": taken for a broker that is away, the older
    writer would begin anew and throw out the newer one."""
    log = open_kafka()
    old = log.writer("door")
    log.writer("door")
    producer = old._sender._producer
    assert producer is not None
    producer.begin_transaction()
    with pytest.raises(KafkaError):
        producer.send(log._prefix + CHUNKS, b"void").get(timeout=20)
    with pytest.raises(FencedError), old.transaction() as tx:
        tx.send(Message(CHUNKS, "door", b"void"))


def test_members_that_start_together_all_get_partitions(open_kafka: Open) -> None:
    """kafka-python forgets a join that ended between two polls; with ours none stays without for good."""
    for _ in range(3):
        group = uuid.uuid4().hex
        members = [open_kafka().consumer(group, [CHUNKS], session_timeout_s=6.0) for _ in range(3)]
        until = time.monotonic() + 30
        while sorted(len(m.assignment()) for m in members) != [2, 3, 3]:
            assert time.monotonic() < until, [m.assignment() for m in members]
            for member in members:
                member.poll(max_records=1, timeout_s=0.0)
            time.sleep(0.01)
        for member in members:
            member.close()


def test_partitions_in_the_midst_of_a_batch_flow_on_after_rebalances(open_kafka: Open) -> None:
    """A member whose buffers are full fetches no further. When there is room it must go on with all it holds, also
    where others came and went (seen: a partition that stood still for as long as the group did not change)."""
    log = open_kafka()
    feeds, each = 8, 2 * BUFFER_RECORDS
    for feed in range(feeds):
        with log.transaction() as tx:  # one batch
            for n in range(each):
                tx.send(Message(CHUNKS, f"feed-{feed}", b"x", {"n": str(feed * each + n)}))
    member = log.consumer("g", [CHUNKS], session_timeout_s=1.0)
    got: set[int] = set()

    def take(count: int) -> None:
        until = time.monotonic() + 20
        while count > 0 and time.monotonic() < until:
            for record in member.poll(max_records=1, timeout_s=0.2):
                got.add(int(record.headers["n"]))
                count -= 1
                with suppress(FencedError), log.transaction() as tx:
                    tx.commit_offset(member, record)

    for _ in range(3):
        take(5)
        other = log.consumer("g", [CHUNKS], session_timeout_s=1.0)
        until = time.monotonic() + 20
        while not other._held and time.monotonic() < until:
            take(1)
        assert other._held
        other.close()
    until = time.monotonic() + 60
    while len(got) < feeds * each and time.monotonic() < until:
        got |= {int(r.headers["n"]) for r in member.poll(max_records=64, timeout_s=0.2)}
    assert got == set(range(feeds * each))


def test_what_the_client_holds_and_the_member_let_go_of_is_taken_up_again(open_kafka: Open) -> None:
    """As after a join under another id that keeps its partitions: no gain is told, and nothing came any more."""
    log = open_kafka()
    with log.transaction() as tx:
        for n in range(16):
            tx.send(Message(CHUNKS, f"feed-{n % 8}", b"x", {"n": str(n)}))
    member = log.consumer("g", [CHUNKS])
    one(member)
    with member._changed:
        for place in list(member._held):
            member._let_go(place)
    got: set[int] = set()
    until = time.monotonic() + 20
    while len(got) < 16 and time.monotonic() < until:
        got |= {int(r.headers["n"]) for r in member.poll(max_records=8, timeout_s=0.2)}
    assert got == set(range(16))


def test_the_state_of_a_feed_is_found_by_the_note_of_its_offset(open_kafka: Open) -> None:
    log = open_kafka()
    for n in range(30):
        with log.transaction() as tx:
            tx.send(Message(CHUNKS, "door", str(n).encode()))
    member = log.consumer("g", [CHUNKS])
    for n in range(30):
        record = one(member)
        with log.transaction() as tx:
            tx.send(Message(STATE, "door", f"state {n}".encode()))
            tx.commit_offset(member, record)
    member.close()
    fresh = open_kafka()
    other = fresh.consumer("g", [CHUNKS])
    until = time.monotonic() + 20
    while other.state_at("door") is None and time.monotonic() < until:
        other.poll(max_records=1, timeout_s=0.1)
    at = other.state_at("door")
    newest = fresh.latest(STATE, "door")
    assert newest is not None
    assert (newest.value, newest.offset) == (b"state 29", at)


def test_partitions_are_those_of_kafkas_own_clients(open_kafka: Open, kafka: str) -> None:
    """Records written by kafka-python's default partitioner lie where we look for them."""
    log = open_kafka()
    with log.transaction() as tx:
        for n in range(30):
            tx.send(Message(DEADLETTER, f"key {n}", b""))
    from kafka.partitioner import DefaultPartitioner

    reader = KafkaConsumer(bootstrap_servers=kafka)
    name = log._prefix + CHUNKS
    reader.partitions_for_topic(name)
    for n in range(50):
        key = f"käy {n}"
        theirs = DefaultPartitioner().partition(name, key, key.encode(), b"", b"", reader._cluster)
        assert theirs == partition_of(key, 8)
    reader.close()


def test_settings_are_checked(tmp_path: Path, kafka: str) -> None:
    with pytest.raises(UserError, match="no setting"):
        Clients((kafka,), {"ssl_cafille": "x"})
    with pytest.raises(UserError, match="wanted one of PLAINTEXT"):
        Clients((kafka,), {"security_protocol": "FOO"})
    with pytest.raises(UserError, match="cannot be written"):
        KafkaLog((kafka,), claims="file:///proc/x")
    with pytest.raises(UserError, match="--claims"):
        KafkaLog((kafka,), claims="bogus://x")
    with pytest.raises(UserError, match="exactly-once"):
        Clients((kafka,), {"isolation_level": "read_uncommitted"})
    with pytest.raises(UserError, match="start a broker"):
        KafkaLog(("127.0.0.1:1",))
    with pytest.raises(LogAwayError, match=r"127\.0\.0\.1:1"):
        Clients(("127.0.0.1:1",)).admin()
    config = tmp_path / "client.properties"
    config.write_text("# ours\nsecurity.protocol = SASL_SSL\nsasl_plain_password=12345\nrequest.timeout.ms=9000\n")
    assert read_config(config) == {
        "security_protocol": "SASL_SSL",
        "sasl_plain_password": "12345",
        "request_timeout_ms": 9000,
    }
    config.write_text("nonsense\n")
    with pytest.raises(UserError, match="line 1"):
        read_config(config)
    with pytest.raises(UserError, match="two logs"):
        place_of(tmp_path, kafka, None)
    for servers in ("broker", "broker:", ":9092", "broker:x"):
        with pytest.raises(UserError, match="HOST:PORT"):
            place_of(None, servers, None)
    with pytest.raises(UserError, match="goes with --kafka"):
        place_of(tmp_path, None, None, prefix="x")


_SECURE = """
listeners=SASL_SSL://127.0.0.1:{{port}},CONTROLLER://127.0.0.1:{{controller}}
advertised.listeners=SASL_SSL://127.0.0.1:{{port}}
inter.broker.listener.name=SASL_SSL
listener.security.protocol.map=SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT
sasl.enabled.mechanisms=PLAIN
sasl.mechanism.inter.broker.protocol=PLAIN
ssl.keystore.location={store}
ssl.keystore.password=changeit
ssl.truststore.location={store}
ssl.truststore.password=changeit
listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
username="admin" password="adminpw" user_admin="adminpw" user_strefer="s3cret";
"""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_tls_and_sasl_on_a_real_broker(tmp_path: Path) -> None:
    store, pem = tmp_path / "store.p12", tmp_path / "ca.pem"
    common = ["-alias", "broker", "-keystore", str(store), "-storepass", "changeit", "-storetype", "PKCS12"]
    names = ["-dname", "CN=127.0.0.1", "-ext", "SAN=ip:127.0.0.1", "-keyalg", "RSA", "-validity", "2"]
    subprocess.run(["keytool", "-genkeypair", *common, *names], check=True, capture_output=True)
    subprocess.run(["keytool", "-exportcert", "-rfc", "-file", str(pem), *common], check=True, capture_output=True)
    config = tmp_path / "client.properties"
    config.write_text(
        f"security.protocol=SASL_SSL\nsasl.mechanism=PLAIN\nssl_cafile={pem}\n"
        "sasl_plain_username=strefer\nsasl_plain_password=s3cret\n"
    )
    options = read_config(config)

    class SecureBroker(JarBroker):
        def answers(self) -> bool:
            return _answers(self.address, options)

    broker = SecureBroker(tmp_path / "broker", extra=_SECURE.format(store=store))
    broker.start()
    try:
        with closing(KafkaLog((broker.address,), options=options)) as log:
            with log.transaction() as tx:
                tx.send(Message(CHUNKS, "door", b"1"))
            record = one(log.consumer("g", [CHUNKS]))
            assert record.value == b"1"
        wrong = {**options, "sasl_plain_password": "wrong", "bootstrap_timeout_ms": 4000}
        with pytest.raises(UserError, match="refuses the name and password"):
            KafkaLog((broker.address,), options=wrong)
        gc.collect()  # kafka-python leaves a socket behind
    finally:
        broker.stop()


def _answers(address: str, options: dict[str, object]) -> bool:
    try:
        Clients((address,), {**options, "bootstrap_timeout_ms": 2000}).admin().close()
    except LogAwayError:
        return False
    return True


def test_topics_are_made_and_described(kafka: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    place = ["--kafka", kafka, "--topic-prefix", f"k{uuid.uuid4().hex[:8]}-"]
    assert main(["topics", "describe", *place]) == 0
    assert capsys.readouterr().out.count("not there: strefer topics create") == 6
    assert main(["topics", "create", *place, "--partitions", "3"]) == 0
    assert capsys.readouterr().out.count("3 partitions, made") == 5
    assert main(["topics", "create", *place, "--partitions", "5"]) == 0
    assert capsys.readouterr().out.count("3 partitions, was there") == 5
    assert main(["topics", "describe", *place]) == 0
    assert capsys.readouterr().out.count("as strefer makes it") == 6
    assert main(["topics", "clean", *place, "--claims", f"file://{tmp_path}"]) == 0
    assert main(["topics", "describe", "--log", str(tmp_path)]) == 2
    assert "--kafka" in capsys.readouterr().err


def test_strangers_records_are_read_as_they_are(open_kafka: Open, kafka: str) -> None:
    """No key, no value, no headers, bytes that are no text: of whoever writes to our topics."""
    log = open_kafka()
    producer = KafkaProducer(bootstrap_servers=kafka)
    for key, value, headers in ((None, b"x", []), (b"\xff", None, []), (b"door", b"y", [("h", b"\xff")])):
        producer.send(log._prefix + CHUNKS, value, key=key, headers=headers, partition=2).get(20)
    producer.close()
    assert [(r.key, r.value) for r in log.read(CHUNKS)] == [("", b"x"), ("\ufffd", b""), ("door", b"y")]
    member = log.consumer("g", [CHUNKS])
    for _ in range(3):
        record = one(member)
        with log.transaction() as tx:
            tx.commit_offset(member, record)
