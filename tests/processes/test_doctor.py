"""`paidchat doctor`: its findings in good and bad set-ups, the remedy for each, and its exit status."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from paidchat.cli.doctor import Finding, Level, examine
from paidchat.sandbox.objects.account import SUBSCRIBED, webhook_endpoint
from paidchat.settings import Settings
from paidchat.storage import schema
from tests.support.cluster import Cluster
from tests.support.network.strangers import Echo, counting, tampering
from tests.support.postgres import Postgres
from tests.support.rows import opened
from tests.support.served import SECRET, free_port, paidchat, served_board
from tests.support.transactions import transaction

SUBJECTS = ("settings", "tiers", "database", "key", "public URL", "Stripe", "clock", "webhook endpoint", "tax")
URL = "https://chat.example.com"


def levels(output: str) -> dict[str, str]:
    """Return the level of each finding, by its subject."""
    return {subject: level for level, subject in re.findall(r"(?m)^ *(ok|warning|failure)  ([^:]+):", output)}


def test_a_good_set_up_is_well(cluster: Cluster) -> None:
    """Against the sandbox, with a migrated database, everything is ok and the exit status is 0."""
    done = paidchat("doctor", **cluster.environment)
    assert done.returncode == 0, done.stdout
    assert levels(done.stdout) == dict.fromkeys(SUBJECTS, "ok")


def test_an_empty_database_is_a_failure(cluster: Cluster, postgres: Postgres) -> None:
    """A database without the schema is a failure, and the remedy is the command to run."""
    empty = {**cluster.environment, "PAIDCHAT_DATABASE_URL": postgres.create_database()}
    done = paidchat("doctor", **empty)
    assert done.returncode == 1
    assert levels(done.stdout)["database"] == "failure"
    assert "→ Run: paidchat migrate" in done.stdout


def test_whatever_is_away_is_a_failure(cluster: Cluster) -> None:
    """If neither the database nor Stripe can be reached, each is reported with its remedy, without a traceback."""
    nobody = free_port()
    away = {
        "PAIDCHAT_DATABASE_URL": f"postgresql://a:b@127.0.0.1:{nobody}/c",
        "PAIDCHAT_STRIPE_API_BASE": f"http://127.0.0.1:{nobody}",
    }
    done = paidchat("doctor", **{**cluster.environment, **away})
    assert done.returncode == 1
    found = levels(done.stdout)
    assert (found["database"], found["Stripe"]) == ("failure", "failure")
    assert done.stdout.count("→") >= 2
    assert f"Let this machine reach http://127.0.0.1:{nobody}." in done.stdout
    assert "read" not in done.stdout.partition("webhook endpoint")[2].partition("→")[2].splitlines()[0]
    assert "Traceback" not in done.stderr


def test_bad_settings_are_listed(cluster: Cluster) -> None:
    """Invalid settings are all reported, as at startup."""
    bad = {**cluster.environment, "PAIDCHAT_PRICE_AMOUNT": "free", "PAIDCHAT_RATE_LIMIT": "many"}
    done = paidchat("doctor", **bad)
    assert done.returncode != 0
    assert "PAIDCHAT_PRICE_AMOUNT" in done.stderr
    assert "PAIDCHAT_RATE_LIMIT" in done.stderr


def test_settings_that_do_not_exist_are_a_warning(cluster: Cluster) -> None:
    """A misspelt variable is named, with the setting that was probably meant; the tiers are listed as they are."""
    done = paidchat("doctor", **cluster.environment, PAIDCHAT_TIER="1:0", PAIDCHAT_TIERS="1:0,5:300")
    assert done.returncode == 0, done.stdout
    assert levels(done.stdout)["settings"] == "warning"
    assert "PAIDCHAT_TIER is not a setting; did you mean PAIDCHAT_TIERS?" in done.stdout
    assert "tiers: 100 usd pins nothing, 500 usd pins for 300 s" in done.stdout


@pytest.fixture
async def stripe() -> AsyncIterator[Echo]:
    """A server in Stripe's place that lists the given webhook endpoints."""
    async with counting() as echo:
        yield echo


async def examined(stripe: Echo, *endpoints: dict[str, Any], **settings: Any) -> dict[str, Finding]:
    """Examine a set-up whose Stripe account has these webhook endpoints; return the findings by subject."""
    stripe.body = {"object": "list", "data": list(endpoints), "has_more": False, "url": "/v1/webhook_endpoints"}
    stripe.body["status"] = "pending"  # and Stripe Tax is not set up
    made = Settings(
        **{
            "database_url": "sqlite:////nonexistent/paidchat.db",
            "public_url": URL,
            "stripe_secret_key": "sk_test_of_the_tests",
            "stripe_webhook_secrets": SECRET,
            "stripe_api_base": stripe.url,
            "_env_file": None,
            **settings,
        }
    )
    return {finding.subject: finding async for finding in examine(made)}


GOOD = webhook_endpoint(f"{URL}/stripe/webhook")


@pytest.mark.parametrize(
    ("revision", "works_with", "level", "words"),
    [
        pytest.param("9999", schema.HEAD, Level.WARNING, "which may still use it", id="newer"),
        pytest.param("9999", "9999", Level.FAILURE, "needs at least a program of revision 9999", id="too new"),
        pytest.param("0001", schema.HEAD, Level.FAILURE, f"this version needs {schema.HEAD}", id="behind"),
        pytest.param("garbage", schema.HEAD, Level.FAILURE, "garbage, which this program", id="not ours"),
    ],
)
async def test_a_schema_of_another_age_is_found(
    stripe: Echo, tmp_path: Path, revision: str, works_with: str, level: Level, words: str
) -> None:
    """A newer schema that allows this program is a warning; one it can't use, or must migrate, is a failure."""
    url = f"sqlite:///{tmp_path / 'paidchat.db'}"
    async with opened(url) as database:
        await schema.migrate(database)
        async with transaction(database) as connection:
            await connection.execute(text("UPDATE alembic_version SET version_num = :new"), {"new": revision})
            await connection.execute(text("UPDATE compatibility SET works_with = :new"), {"new": works_with})
    found = (await examined(stripe, GOOD, database_url=url))["database"]
    assert found.level == level
    assert words in found.found
    assert found.remedy


@pytest.mark.parametrize(
    ("endpoints", "level", "words"),
    [
        pytest.param([GOOD], Level.OK, "", id="as it must be"),
        pytest.param([{**GOOD, "enabled_events": ["*"]}], Level.OK, "", id="all events"),
        pytest.param([], Level.FAILURE, "there is none", id="none"),
        pytest.param(
            [{**GOOD, "url": "https://other.example.com/hooks"}], Level.FAILURE, "there is none", id="foreign"
        ),
        pytest.param([{**GOOD, "status": "disabled"}], Level.FAILURE, "is disabled", id="disabled"),
        pytest.param(
            [{**GOOD, "enabled_events": list(SUBSCRIBED[1:])}],
            Level.FAILURE,
            "does not send checkout.session.completed",
            id="an event is missing",
        ),
        pytest.param(
            [webhook_endpoint("https://other.example.com/stripe/webhook")],
            Level.WARNING,
            "not https://chat",
            id="other name",
        ),
        pytest.param([{**GOOD, "api_version": "2020-08-27"}], Level.WARNING, "2020-08-27", id="an old version"),
    ],
)
async def test_the_endpoint_is_looked_at(
    stripe: Echo, endpoints: list[dict[str, Any]], level: Level, words: str
) -> None:
    """The webhook endpoint must exist, be enabled and ours, and be subscribed to the events that the board needs."""
    found = (await examined(stripe, *endpoints))["webhook endpoint"]
    assert found.level is level, found
    assert words in found.found
    assert bool(found.remedy) is (level is not Level.OK)


async def test_a_url_without_tls_is_a_warning(stripe: Echo) -> None:
    """A public URL with plain HTTP is reported, with the remedy."""
    found = (await examined(stripe, GOOD, public_url="http://chat.example.com"))["public URL"]
    assert found.level is Level.WARNING
    assert "TLS" in found.remedy


@pytest.mark.parametrize(
    ("key", "level", "words"),
    [
        ("sk_test_of_the_tests", Level.OK, "secret key, test mode"),
        ("rk_test_of_the_tests", Level.OK, "restricted key, test mode"),
        ("rk_live_of_nobody", Level.OK, "restricted key, live"),
        ("sk_live_of_nobody", Level.WARNING, "may do everything"),
    ],
)
async def test_the_key_is_looked_at(key: str, level: Level, words: str) -> None:
    """The key's kind and mode are shown; a live key with all permissions is a warning that names those needed."""
    settings = Settings(
        public_url=URL,
        stripe_secret_key=key,
        stripe_webhook_secrets=SECRET,
        database_url="sqlite:////nonexistent/paidchat.db",
        _env_file=None,
    )
    async for found in examine(settings):
        if found.subject == "key":
            break  # the later checks ask Stripe itself
    assert (found.subject, found.level) == ("key", level)
    assert words in found.found
    assert ("restricted key" in found.remedy) is (level is Level.WARNING)


@pytest.mark.parametrize(
    ("broken", "status", "remedy"),
    [
        pytest.param(set(), 403, "See to the finding about Stripe first.", id="the key may do nothing"),
        pytest.param({"everything"}, 500, "See to the finding about Stripe first.", id="Stripe is down"),
        pytest.param({"/v1/webhook_endpoints", "/v1/tax/settings"}, 200, "Try again", id="only this was not answered"),
    ],
)
async def test_what_cannot_be_read_has_the_remedy_for_its_cause(
    stripe: Echo, broken: set[str], status: int, remedy: str
) -> None:
    """If Stripe itself is the problem, the remedy is not a change of the key's permissions."""
    stripe.broken, stripe.status = broken, status
    found = await examined(stripe, GOOD, automatic_tax="exclusive")
    assert [found[name].remedy.startswith(remedy) for name in ("webhook endpoint", "tax")] == [True, True], found


async def test_a_key_that_may_not_read_is_told_to(tmp_path: Path) -> None:
    """If Stripe responds, but the key may not read endpoints or tax settings, the remedy names that permission."""
    with served_board(tmp_path) as board:
        async with tampering() as between:
            between.target = f"{board.url}/sandbox"
            between.forbidden = {"/v1/webhook_endpoints", "/v1/tax/settings"}
            settings = board.settings.model_copy(update={"stripe_api_base": between.url, "automatic_tax": "inclusive"})
            found = {finding.subject: finding async for finding in examine(settings)}
    assert found["webhook endpoint"].remedy == "Allow the key to read Webhook Endpoints."
    assert found["tax"].remedy == "Allow the key to read Tax."


async def test_a_pending_tax_set_up_is_a_failure(stripe: Echo) -> None:
    """With automatic tax on and no head office at Stripe, which would refuse every checkout, there is a failure."""
    found = (await examined(stripe, GOOD, automatic_tax="exclusive"))["tax"]
    assert found.level is Level.FAILURE
    assert "head-office" in found.remedy


@pytest.mark.parametrize(
    ("ahead_s", "level", "words"),
    [
        (0, Level.OK, "agrees"),
        (30, Level.OK, "agrees"),
        (120, Level.WARNING, "s behind Stripe's"),
        (-120, Level.WARNING, "s ahead of Stripe's"),
        (600, Level.FAILURE, "every webhook is refused"),
        (-600, Level.FAILURE, "every webhook is refused"),
        (None, Level.WARNING, "not compared"),
    ],
)
async def test_the_clock_is_compared(stripe: Echo, ahead_s: int | None, level: Level, words: str) -> None:
    """A clock over a minute from Stripe's is a warning; over five minutes, which breaks webhooks, it is a failure."""
    if ahead_s is not None:
        stripe.date = format_datetime(datetime.now(UTC) + timedelta(seconds=ahead_s), usegmt=True)
    found = (await examined(stripe, GOOD))["clock"]
    assert found.level is level, found
    assert words in found.found
    assert bool(found.remedy) is (level is not Level.OK)
