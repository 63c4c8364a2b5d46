/** The client that docs/frontend.md prints, against a server that does what a real one rarely does. */

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";

import { EPOCH, message, page, payment, storageOn } from "./samples.js";
import { BoardServer, until } from "./server.js";

/** @import { Answer, Peer, Request } from "./server.js" */

const GUIDE = readFileSync(new URL("../../docs/frontend.md", import.meta.url), "utf8");
const SOURCE = /```js\n(const INTENT.*?)```/s.exec(GUIDE)?.[1] ?? "";
const NOW = "2026-01-01T01:00:00Z";

/** What it needs of a browser, and Node lacks. */
const browser = { addEventListener() {}, location: { left: "", assign: (/** @type {string} */ url) => void (browser.location.left = url) } };
for (const [name, value] of Object.entries({ ...browser, sessionStorage: storageOn(new Map()) })) {
  Object.defineProperty(globalThis, name, { value, configurable: true });
}
const folder = mkdtempSync(join(tmpdir(), "paidchat-guide-"));
writeFileSync(join(folder, "paidchat.mjs"), SOURCE);
/** @type {any} */
const guide = await import(join(folder, "paidchat.mjs"));
rmSync(folder, { recursive: true });

/**
 * The client on its own server, for one test.
 *
 * @param {import("node:test").TestContext} context
 * @param {(peer: Peer, connection: number) => void} greet what the server does with a new connection; the first one is 1
 * @param {(request: Request) => Answer} [answer]
 */
async function started(context, greet, answer = () => null) {
  const server = await BoardServer.start();
  server.greet = (peer) => greet(peer, server.peers.length);
  server.answer = answer;
  context.after(() => server.stop());
  context.mock.method(Math, "random", () => 0); // the shortest delays
  const board = new guide.Board(`http://${server.host}`, () => {});
  context.after(() => board.close());
  await until(() => board.live);
  return { server, board, peer: await until(() => server.peers[0]) };
}

/** @param {Partial<SnapshotFrame>} [change] */
const snapshot = (change) => ({ type: "snapshot", ...page([4, 5], { seq: 5, has_more: true }), pinned: [], now: NOW, ...change });
const ids = (/** @type {{ messages: Map<number, Message> }} */ board) => [...board.messages.keys()];

test("the client has fewer than a hundred lines", () => {
  assert.ok(SOURCE.includes("class Board"));
  assert.ok(SOURCE.trim().split("\n").length < 100);
});

test("it applies each entry, and after a lost connection resumes after the last one and watches its payments again", async (context) => {
  const { server, board, peer } = await started(context, (peer, connection) =>
    peer.send(connection === 1 ? snapshot() : { type: "resumed", epoch: EPOCH, seq: 8, now: NOW }),
  );
  board.watch("pay-1");
  peer.send({ type: "message.posted", seq: 6, message: message(6) });
  peer.send({ type: "message.removed", seq: 7, message_id: 4, reason: "moderated" });
  peer.send({ type: "message.from.the.future", seq: 8 });
  peer.send({ type: "payment.updated", payment: payment({ status: "fulfilled", message_id: 6 }) });
  await until(() => board.payments.get("pay-1")?.message_id === 6);
  assert.deepEqual(ids(board), [5, 6]);
  peer.cut();
  const second = await until(() => server.peers[1]);
  assert.equal(second.url, `/api/feed?after=8&epoch=${EPOCH}`);
  await until(() => second.received.length === 1);
  assert.deepEqual(second.received, [{ type: "watch", payment_id: "pay-1" }]);
  assert.deepEqual(ids(board), [5, 6]);
});

for (const [name, frame] of Object.entries({
  "an entry is missing": { type: "message.posted", seq: 7, message: message(7) },
  "an entry comes twice": { type: "message.posted", seq: 5, message: message(5) },
  "a heartbeat is ahead": { type: "heartbeat", seq: 6 },
})) {
  test(`if ${name}, it asks for a snapshot, which replaces everything`, async (context) => {
    const { server, board, peer } = await started(context, (peer, connection) =>
      peer.send(connection === 1 ? snapshot() : snapshot({ ...page([7, 8], { seq: 9, epoch: "e2" }) })),
    );
    peer.send(frame);
    await until(() => server.peers[1] && ids(board).includes(8));
    assert.equal(server.peers[1]?.url, "/api/feed");
    assert.deepEqual(ids(board), [7, 8]);
  });
}

test("silence for 45 seconds counts as a lost connection; after 1008 it stays away", async (context) => {
  const { server, board, peer } = await started(context, (peer, connection) =>
    peer.send(connection === 1 ? snapshot() : { type: "resumed", epoch: EPOCH, seq: 5, now: NOW }),
  );
  peer.send({ type: "heartbeat", seq: 5 });
  clearTimeout(board.timer); // the real one would take 45 s
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const turns = async (/** @type {() => unknown} */ check) => {
    for (let turn = 0; turn < 100_000 && !check(); turn += 1) await new Promise((resolve) => setImmediate(resolve));
    assert.ok(check());
  };
  const before = board.timer;
  peer.send({ type: "heartbeat", seq: 5 });
  await turns(() => board.timer !== before);
  context.mock.timers.tick(44_000);
  assert.equal(board.live, true);
  context.mock.timers.tick(1_000);
  assert.equal(board.live, false);
  context.mock.timers.tick(3_000); // the first delays are at most that long
  await turns(() => board.live);
  server.peers[1]?.close(1008);
  await turns(() => !board.live);
  context.mock.timers.tick(600_000);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(server.peers.length, 2);
});

test("a page of history that is older than a removal is not merged; one that is not, is", async (context) => {
  const pages = [page([1, 2, 3], { seq: 5 }), page([1, 3], { seq: 6 })];
  const { server, board, peer } = await started(
    context,
    (peer) => peer.send(snapshot()),
    () => ({ body: pages.shift() }),
  );
  peer.send({ type: "message.removed", seq: 6, message_id: 2, reason: "refunded" });
  await until(() => board.cursor.seq === 6);
  await board.readOlder();
  assert.deepEqual([ids(board), board.oldest], [[4, 5], 4]);
  await board.readOlder();
  assert.deepEqual([ids(board).sort(), board.oldest], [[1, 3, 4, 5], 0]);
  assert.equal(server.requests[1]?.url, "/api/messages?before=4");
});

test("what is pinned is counted by the server's clock: the highest amount first, until it ends or is removed", async (context) => {
  const ending = (/** @type {string} */ time) => ({ pinned_until: `2026-01-01T${time}Z` });
  const pinned = [
    message(3, { amount: 2000, ...ending("02:00:00") }),
    message(1, { amount: 500, ...ending("01:00:05") }),
    message(2, { amount: 500, ...ending("00:59:59") }),
  ];
  const { board, peer } = await started(context, (peer) => peer.send(snapshot({ pinned })));
  const shown = () => board.pinned.map((/** @type {Message} */ { id }) => id);
  peer.send({ type: "message.posted", seq: 6, message: message(6, { amount: 500, ...ending("01:10:00") }) });
  await until(() => shown().length === 3);
  assert.deepEqual(shown(), [3, 6, 1]);
  peer.send({ type: "message.removed", seq: 7, message_id: 3, reason: "disputed" });
  await until(() => shown().length === 2);
  peer.send({ type: "resumed", seq: 7, epoch: EPOCH, now: "2026-01-01T01:05:00Z" });
  await until(() => shown().length === 1);
  assert.deepEqual(shown(), [6]);
});

test("a payment is continued with its key after a lost answer, and leads to checkout", async (context) => {
  /** @type {Answer[]} */
  const answers = [null, { status: 503, body: { code: "payment_provider_unavailable" } }, { status: 201, body: payment() }];
  const { server } = await started(context, (peer) => peer.send(snapshot()), () => answers.shift() ?? null);
  const pay = () => guide.pay(`http://${server.host}`, { text: "Hello" });
  await assert.rejects(pay, TypeError);
  await assert.rejects(pay, { code: "payment_provider_unavailable" });
  await pay();
  assert.equal(browser.location.left, payment().checkout_url);
  const [first, ...others] = server.requests.map(({ headers }) => headers["idempotency-key"]);
  assert.match(String(first), /^[0-9a-f-]{36}$/);
  assert.deepEqual(others, [first, first]);
});
