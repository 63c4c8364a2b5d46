"""Accepting connections while the event loop is busy."""

import asyncio
import socket
from contextlib import ExitStack

import uvloop
from fastapi import FastAPI

from paidchat.serving.server import LISTENERS, Server, listen, server_config

CROWD = 8 * LISTENERS


async def turns_to_accept(count: int) -> int:
    """Return in how many turns of the event loop those are accepted who connected while it was busy."""
    listening = listen("127.0.0.1", 0)
    address = listening.getsockname()
    ready = asyncio.Event()
    server = Server(server_config(FastAPI()), ready.set)
    running = asyncio.create_task(server.serve([listening]))
    await ready.wait()
    turns = 0
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(socket.create_connection(address))
        async with asyncio.timeout(10):
            while len(server.server_state.connections) < count:
                await asyncio.sleep(0)
                turns += 1
    server.should_exit = True
    await running
    return turns


def test_a_crowd_is_accepted_in_a_few_turns() -> None:
    """Several connections are accepted in a turn of the loop: a board that is busy lets new clients in."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        turns = runner.run(turns_to_accept(CROWD))
    assert turns <= 2 * CROWD / LISTENERS
