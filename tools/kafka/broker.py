"""A real Apache Kafka broker of one node (KRaft) for tests and for `make kafka`.

Taken in this order: the one STREFER_KAFKA names; one in a Docker engine (compose.yaml); the jars from Maven Central
under this machine's Java. `python -m tools.kafka.broker` runs one in the foreground until Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from engines.errors import UserError

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
JAVA = 17
START_S = 120.0
"""A machine of two cores on which others compute may take a minute."""
TRIES = 3
"""A broker that dies while it starts is started again, as a supervisor would."""

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
# what a killed client left open is aborted within a second of its time-out, not within ten
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
group.initial.rebalance.delay.ms=0
# tests kill members and wait for their sessions to end
group.min.session.timeout.ms=500
# a killed broker that comes back is let in when its last session has run out; where each step of the controller takes
# two seconds, as beside others on two cores, a session of three would run out before its first heartbeat was heard
broker.session.timeout.ms=8000
broker.heartbeat.interval.ms=1000
auto.create.topics.enable=false
# a topic may allow more than its messages need; only a test of oversized messages does
message.max.bytes=16777216
socket.request.max.bytes=268435456
"""
_LOGGER = """\
status = error
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d %p %c: %m%n
"""


class JarBroker:
    """The broker from Maven's jars: a Java process with a data folder of its own, on free loopback ports."""

    def __init__(self, home: Path, port: int = 0, extra: str = "") -> None:
        """`extra`: lines of server.properties that override ours."""
        self.home, self._extra = home, extra
        self.port = port or free_port()
        self._controller = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._libs = jars()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, or start it again on its data; returns when it answers. Raises UserError where it does not."""
        for port in (self.port, self._controller):
            if _taken(port):
                raise UserError(f"port {port} is in use: another broker may run there already")
        self.home.mkdir(parents=True, exist_ok=True)
        properties = self.home / "server.properties"
        if not properties.exists():
            (self.home / "log4j2.properties").write_text(_LOGGER)
            values = {"port": self.port, "controller": self._controller, "data": self.home / "data"}
            properties.write_text(_PROPERTIES.format(**values) + self._extra.format(**values))
            cluster = self._java("kafka.tools.StorageTool", "random-uuid").strip()
            self._java("kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties))
        if not any(self._comes_up(properties) for _ in range(TRIES)):
            cause = f"it died or did not answer for {START_S:.0f} s, {TRIES} times"
            raise UserError(f"the Kafka broker does not start, {cause}: {_last_words(self.home / 'broker.log')}")

    def _comes_up(self, properties: Path) -> bool:
        """Run it and wait for it to answer; false where it dies, or does not answer in time and so is killed.

        After a kill -9 it has been seen to read its own metadata over and over, for minutes, without an answer.
        """
        until = time.monotonic() + START_S
        with (self.home / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command("kafka.Kafka", str(properties)), stdout=log, stderr=log, start_new_session=True
            )
        while not self.answers():
            if self._process.poll() is not None:
                self._process = None
                return False
            if time.monotonic() > until:
                self.kill()
                return False
            time.sleep(0.05)
        return True

    def answers(self) -> bool:
        return answers(self.address)

    def kill(self) -> None:
        """As a power cut would: kill -9."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _command(self, *arguments: str) -> list[str]:
        options = ["-Xmx512m", f"-Dlog4j2.configurationFile={self.home / 'log4j2.properties'}"]
        return [_java(), *options, "-cp", f"{self._libs}/*", *arguments]

    def _java(self, *arguments: str) -> str:
        done = subprocess.run(self._command(*arguments), capture_output=True, text=True, check=False)
        if done.returncode:
            raise UserError(f"{arguments[0]} failed: {(done.stderr or done.stdout).strip().splitlines()[-1:]}")
        return done.stdout


@contextlib.contextmanager
def broker(home: Path | None = None, port: int = 0) -> Iterator[str]:
    """The address of a broker that answers, for as long as the block runs. Raises UserError where none can be had."""
    named = os.environ.get("STREFER_KAFKA", "")
    if named:
        if not any(answers(host) for host in named.split(",")):
            raise UserError(f"no Kafka broker answers at STREFER_KAFKA={named}: start it, or unset the variable")
        yield named
    elif _docker_runs():
        yield from _compose()
    else:
        with contextlib.ExitStack() as stack:
            folder = home or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="strefer-kafka-")))
            one = JarBroker(folder, port)
            stack.callback(one.stop)
            one.start()
            yield one.address


def answers(address: str) -> bool:
    """Whether a broker there takes requests (not just connections)."""
    from kafka import KafkaAdminClient
    from kafka.errors import KafkaError

    host, _, port = address.strip().rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1.0).close()
        KafkaAdminClient(bootstrap_servers=address, bootstrap_timeout_ms=10_000).close()
    except (OSError, KafkaError):
        return False
    return True


def jars() -> Path:
    """The folder of Kafka's jars; resolved by Maven into the user's cache the first time. Raises UserError."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    pom = HERE / "pom.xml"
    version = pom.read_text().split("<artifactId>kafka_2.13</artifactId>")[1].split("<version>")[1].split("<")[0]
    libs = base / "strefer" / "kafka" / version
    if libs.exists():
        return libs
    maven = shutil.which("mvn")
    if maven is None:
        raise UserError(
            "no Kafka broker: install Maven and Java 17 or newer (apt-get install maven default-jre-headless), "
            "or Docker, or name a running broker in STREFER_KAFKA"
        )
    _java()
    libs.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=libs.parent) as part:
        command = [maven, "-q", "-B", "-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={part}/libs"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=part)
        if done.returncode:
            cause = next((line for line in done.stdout.splitlines() if "ERROR" in line), "no cause told")
            raise UserError(f"Maven cannot fetch Kafka ({cause}): reach Maven Central, or set STREFER_KAFKA")
        with contextlib.suppress(OSError):  # another process was quicker
            Path(part, "libs").rename(libs)
    return libs


def _last_words(log: Path) -> str:
    """What a broker's log says of its end, in one line: its last errors, or its last line."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    telling = [line for line in lines if " ERROR " in line or " FATAL " in line or "Exception: " in line]
    return " | ".join((telling or lines)[-3:]) or f"{log} is empty"


def _java() -> str:
    program = shutil.which("java")
    said = subprocess.run([program, "-version"], capture_output=True, text=True, check=False).stderr if program else ""
    number = said.partition('version "')[2].partition(".")[0].partition('"')[0]
    if program is None or not number.isdigit() or int(number) < JAVA:
        raise UserError(
            f"no Kafka broker: install Java {JAVA} or newer (apt-get install default-jre-headless), "
            "or Docker, or name a running broker in STREFER_KAFKA"
        )
    return program


def _docker_runs() -> bool:
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


def _compose() -> Iterator[str]:
    """Kafka of compose.yaml. It is left running: whoever comes next uses it too."""
    done = subprocess.run(
        ["docker", "compose", "up", "--detach", "--wait", "kafka"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    address = "127.0.0.1:9092"
    until = time.monotonic() + START_S
    while done.returncode == 0 and not answers(address) and time.monotonic() < until:
        time.sleep(0.2)
    if done.returncode or not answers(address):
        raise UserError(f"docker compose cannot start Kafka: {done.stderr.strip().splitlines()[-1:]}")
    yield address


def _taken(port: int) -> bool:
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def free_port() -> int:
    """A free loopback port that stays free while a killed broker is away: the kernel gives none of this range to
    those who ask for any port, as every client that connects does."""
    low, _ = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    dice = random.SystemRandom()
    port = next((p for p in (dice.randrange(min(10_000, low // 2), low) for _ in range(200)) if not _taken(p)), None)
    if port is None:
        raise UserError(f"no port under {low} is free on this machine")
    return port


def main() -> int:
    parser = argparse.ArgumentParser(description="Run an Apache Kafka broker of one node until Ctrl-C.")
    parser.add_argument("--port", type=int, default=9092)
    parser.add_argument("--data", type=Path, default=ROOT / "out" / "kafka", help="where its data lies")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with broker(asked.data, asked.port) as address:
            print(f"Kafka answers at {address}: strefer worker --kafka {address}   (Ctrl-C ends it)", flush=True)
            while True:
                time.sleep(3600)
    except UserError as e:
        print(f"strefer: {e}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
