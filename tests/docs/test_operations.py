"""The settings for Kafka that docs/operations.md shows are read as they stand."""

from __future__ import annotations

import re
from pathlib import Path

from stream.cli_log import read_config

PAGE = Path(__file__).parents[2] / "docs/operations.md"
# Of kafka-python 3.0's KafkaConsumer and KafkaProducer.
KNOWN = {
    *("security_protocol", "ssl_cafile", "ssl_certfile", "ssl_keyfile", "ssl_password", "ssl_check_hostname"),
    *("sasl_mechanism", "sasl_plain_username", "sasl_plain_password"),
}


def test_the_examples_of_security_are_read(tmp_path: Path) -> None:
    shown = [b for b in re.findall(r"```ini\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL) if "security_" in b]
    assert len(shown) == 2
    for text in shown:
        (file := tmp_path / "client.properties").write_text(text)
        options = read_config(file)
        assert options.keys() <= KNOWN
        assert ("sasl_mechanism" in options) == (options["security_protocol"] == "SASL_SSL")
        file.write_text(text.replace("_", "."))
        assert read_config(file).keys() == options.keys()
