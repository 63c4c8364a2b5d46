"""The demo, as a user starts it."""

from pathlib import Path

import pytest

from tests.e2e.conftest import Windows
from tests.support.served import free_port, process


@pytest.mark.long
async def test_the_demo_works_by_either_name_of_the_machine(windows: Windows, tmp_path: Path) -> None:
    """Opened as 127.0.0.1 the demo is live, and a payment that returns to localhost is highlighted there."""
    port = free_port()
    with process("demo", "--no-open", "--port", str(port), "--data", str(tmp_path)):
        buyer = await windows.open(url=f"http://127.0.0.1:{port}")
        await (await buyer.go_to_checkout("From one name to the other", "Ada")).pay()
        await buyer.expect_arrival("From one name to the other")
        assert buyer.page.url.startswith(f"http://localhost:{port}/")
        await buyer.page.close()
