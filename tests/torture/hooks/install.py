"""Hooks: changes to a board made in its process before it runs. Its source is unchanged."""

from typing import Any

from tests.torture.hooks import crash as crash_hook
from tests.torture.hooks import page_limit, sabotages, time_hooks
from tests.torture.hooks import tasks as task_hooks


def install(hooks: dict[str, Any]) -> None:
    """Install the hooks with these names.

    `crash`: the folder of the crash hook; `sabotage`: the name of a sabotage; `lease_s`: how long leases of a dead
    process last; `first_sweep_s`: when the reconciler's first pass starts; `hold_answers`: True to delay Stripe's
    answers, see `time_hooks`; `full_when`: SQLite refuses to grow while this file exists; `kill_tasks`: how often, and
    with which pause, background tasks are cancelled; `clock_ahead_s`: by how much the process's clock is ahead.
    """
    if (clock_ahead_s := hooks.get("clock_ahead_s")) is not None:
        time_hooks.put_clock_ahead(clock_ahead_s)
    if (lease_s := hooks.get("lease_s")) is not None:
        time_hooks.shorten(lease_s)
    if (first_sweep_s := hooks.get("first_sweep_s")) is not None:
        time_hooks.put_sweep(first_sweep_s)
    if hooks.get("hold_answers"):
        time_hooks.hold_answers()
    if (flag := hooks.get("full_when")) is not None:
        page_limit.install(flag)
    if (kills := hooks.get("kill_tasks")) is not None:
        task_hooks.kill_tasks(**kills)
    if (sabotage := hooks.get("sabotage")) is not None:
        sabotages.unplug(sabotage)
    if (folder := hooks.get("crash")) is not None:
        crash_hook.install(folder)
