"""The README and docs/operations.md match the program: settings, events, metrics and log entries."""

import re
from pathlib import Path

from paidchat.cli.doctor import NEEDED_EVENTS, NICE_TO_HAVE
from paidchat.observability import Metrics
from paidchat.settings import Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
OPERATIONS = (ROOT / "docs/operations.md").read_text()
SOURCE = "".join(path.read_text() for path in (ROOT / "src/paidchat").rglob("*.py"))
WITHOUT_A_VALUE = {"none", "required", "the public URL", "Stripe's"}
AN_EVENT = re.compile(r"`((?:checkout|charge|refund|payment_intent)\.[a-z_.]+)`")


def rows_of(page: str, heading: str) -> list[list[str]]:
    """Return the cells of each row of the first table whose first heading is this."""
    table = re.split(rf"(?m)^\| {heading} .*\n\|[-|]+\n", page)[1]
    lines = table[: table.index("\n\n")].splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_the_readme_lists_every_setting() -> None:
    """The README's table has every variable, in the order of the settings, each with its real default."""
    listed = {name.strip("` "): default.strip("` ") for name, default, *_ in rows_of(README, "variable")}
    fields = {str(field.validation_alias): field.default for field in Settings.model_fields.values()}
    assert list(listed) == list(fields)
    given = {name: default for name, default in listed.items() if default not in WITHOUT_A_VALUE}
    assert given == {name: str(fields[name]) for name in given}


def test_the_readme_names_the_events_to_send() -> None:
    """The README lists the events that the doctor requires at the webhook endpoint, and none that we don't read."""
    assert NEEDED_EVENTS <= set(AN_EVENT.findall(README)) <= NEEDED_EVENTS | NICE_TO_HAVE


def test_what_to_alert_on_is_there() -> None:
    """Every metric and log entry that operators are told to watch exists."""
    signals = " ".join(signal for signal, *_ in rows_of(OPERATIONS, "signal"))
    metrics = {sample.name for metric in Metrics().registry.collect() for sample in metric.samples}
    families = {metric.name for metric in Metrics().registry.collect()}
    for name in re.findall(r"paidchat_[a-z_]+", signals):
        assert name in metrics | families | {f"{family}_total" for family in families}, name
    for entry in re.findall(r"`([a-z]+\.[a-z_]+)`", signals):
        assert f'"{entry}"' in SOURCE, entry
