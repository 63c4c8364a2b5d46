import assert from "node:assert/strict";
import test from "node:test";

import { Feed } from "../../frontend/feed/feed.js";
import { EPOCH, message } from "./samples.js";
import { BoardServer, until } from "./server.js";

/** @import { Peer } from "./server.js" */

/**
 * A feed on its own server, for one test.
 *
 * @param {import("node:test").TestContext} context
 * @param {(peer: Peer, server: BoardServer) => void} greet what the server does with a new connection
 */
async function started(context, greet) {
  const server = await BoardServer.start();
  server.greet = (peer) => greet(peer, server);
  /** @type {Frame[]} */
  const frames = [];
  /** @type {string[]} */
  const told = [];
  const feed = new Feed({
    location: { protocol: "http:", host: server.host },
    onFrame: (frame) => frames.push(frame),
    onIndicator: (indicator) => told.push(indicator),
    isOnline: () => true,
  });
  context.after(() => {
    feed.suspend();
    return server.stop();
  });
  feed.start();
  return { server, feed, frames, told };
}

/** @param {number} seq */
const snapshot = (seq, messages = [message(seq)]) => ({ type: "snapshot", epoch: EPOCH, seq, messages, has_more: true });
/** @param {number} seq */
const posted = (seq) => ({ type: "message.posted", seq, message: message(seq) });
/** @param {number} seq */
const resumed = (seq) => ({ type: "resumed", epoch: EPOCH, seq });

test("a connect without a cursor gets a snapshot, and then each entry as it is posted", async (context) => {
  const { server, frames, told } = await started(context, (peer) => peer.send(snapshot(5)));
  const peer = await until(() => server.peers[0]);
  assert.equal(peer.url, "/api/feed");
  peer.send(posted(6));
  await until(() => frames.length === 2);
  assert.deepEqual(frames, [snapshot(5), posted(6)]);
  assert.deepEqual(told, ["connecting", "live"]);
});

test("after losing the connection it resumes with its cursor and gets what it missed", async (context) => {
  const { server, frames, told } = await started(context, (peer, { peers }) => {
    if (peers.length === 1) peer.send(snapshot(5));
    else for (const frame of [resumed(6), posted(7), posted(8)]) peer.send(frame);
  });
  const peer = await until(() => server.peers[0]);
  peer.send(posted(6));
  await until(() => frames.length === 2);
  peer.close(1012);
  await until(() => frames.length === 5);
  assert.equal(server.peers[1]?.url, `/api/feed?after=6&epoch=${EPOCH}`);
  assert.deepEqual(frames.slice(2), [resumed(6), posted(7), posted(8)]);
  assert.deepEqual([...new Set(told)], ["connecting", "live", "reconnecting"]);
  assert.equal(told.at(-1), "live");
});

test("a gap drops the cursor: the frame is not delivered, and the next connect has no cursor", async (context) => {
  const { server, frames } = await started(context, (peer) => peer.send(snapshot(5)));
  const peer = await until(() => server.peers[0]);
  peer.send(posted(7));
  await until(() => server.peers.length === 2);
  await until(() => frames.length === 2);
  assert.equal(server.peers[1]?.url, "/api/feed");
  assert.deepEqual(frames, [snapshot(5), snapshot(5)]);
});

test("payments are watched after connecting, when requested, and again after each reconnect", async (context) => {
  const { server, feed } = await started(context, (peer, { peers }) => {
    peer.send(peers.length === 1 ? snapshot(5) : resumed(5));
  });
  feed.watch("early");
  const first = await until(() => server.peers[0]);
  await until(() => first.received.length === 1);
  feed.watch("late");
  await until(() => first.received.length === 2);
  feed.watch("gone");
  feed.unwatch("gone");
  first.cut();
  const second = await until(() => server.peers[1]);
  await until(() => second.received.length === 2);
  const watch = (/** @type {string} */ payment_id) => ({ type: "watch", payment_id });
  assert.deepEqual(second.received, [watch("early"), watch("late")]);
});

test("waking ends a wait at once, and leaves a working connection alone", async (context) => {
  const { server, feed, told } = await started(context, (peer, { peers }) => {
    if (peers.length === 1) peer.close(1013);
    else peer.send(snapshot(5));
  });
  await until(() => told.includes("reconnecting"));
  const woken = Date.now();
  feed.wake();
  await until(() => told.at(-1) === "live");
  assert.ok(Date.now() - woken < 400, "the shortest wait is half a second");
  feed.wake();
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(server.peers.length, 2);
});

test("refused for misuse it stays disconnected, even when woken", async (context) => {
  const { server, feed, told } = await started(context, (peer) => peer.close(1008));
  await until(() => told.at(-1) === "refused");
  feed.wake();
  feed.doubt();
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  assert.equal(server.peers.length, 1);
});

test("when the network is reported gone, a connection that still works is restored at once", async (context) => {
  const { server, feed, told } = await started(context, (peer, { peers }) => {
    peer.send(peers.length === 1 ? snapshot(5) : resumed(5));
  });
  await until(() => told.at(-1) === "live");
  feed.doubt();
  await until(() => server.peers.length === 2 && told.at(-1) === "live");
  assert.equal(server.peers[1]?.url, `/api/feed?after=5&epoch=${EPOCH}`);
});

test("it disconnects when suspended, and resumes when woken", async (context) => {
  const { server, feed, told } = await started(context, (peer, { peers }) => {
    peer.send(peers.length === 1 ? snapshot(5) : resumed(5));
  });
  await until(() => told.at(-1) === "live");
  feed.suspend();
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  assert.equal(server.peers.length, 1);
  feed.wake();
  await until(() => told.at(-1) === "live");
  assert.equal(server.peers.length, 2);
});

test("a connection that is silent for 45 seconds is replaced", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const { server, told } = await started(context, (peer, { peers }) => {
    peer.send(peers.length === 1 ? snapshot(5) : resumed(5));
  });
  await untilReal(() => told.at(-1) === "live");
  context.mock.timers.tick(44_000);
  assert.equal(told.at(-1), "live");
  context.mock.timers.tick(2_000);
  assert.equal(told.at(-1), "reconnecting");
  context.mock.timers.tick(2_000);
  await untilReal(() => server.peers.length === 2 && told.at(-1) === "live");
});

/**
 * Like `until`, but works while the clock is mocked.
 *
 * @param {() => boolean} check
 */
async function untilReal(check) {
  for (let turn = 0; turn < 100_000 && !check(); turn += 1) await new Promise((resolve) => setImmediate(resolve));
  assert.ok(check());
}
