"""Creates Checkout Sessions with Stripe's own client and nothing else, as many as each line on standard input says.

python sessions.py ADDRESS PARAMETERS, where the parameters are those of a session, as JSON.
"""

import asyncio
import json
import sys
from typing import Any

import stripe

AT_ONCE = 32


async def create(client: stripe.StripeClient, parameters: Any, count: int) -> int:
    """Create sessions, so many at once; returns how many there are."""
    left = iter(range(count))
    ids: set[str] = set()

    async def work() -> None:
        for _ in left:
            ids.add((await client.v1.checkout.sessions.create_async(parameters)).id)

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return len(ids)


async def main(address: str, parameters: str) -> None:
    """Answer each line with the number of sessions created."""
    client = stripe.StripeClient(
        "sk_test_of_the_benchmark", base_addresses={"api": address}, http_client=stripe.HTTPXClient()
    )
    print("the client is ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(await create(client, json.loads(parameters), int(line)), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
