import assert from "node:assert/strict";
import test from "node:test";

import { advance, backoff, connecting, feedUrl, indicator, initialConnection, live, lost } from "../../frontend/feed/feed.js";
import { message, payment } from "./samples.js";

const half = () => 0.5; // no jitter

/**
 * Fails to connect `times` times from now on.
 *
 * @param {Connection} connection
 * @param {number} times
 */
function failures(connection, times) {
  const delays = [];
  for (let index = 0; index < times; index += 1) {
    const end = lost(connecting(connection), { code: 1006, now: 0, random: half });
    connection = end.connection;
    delays.push(end.delayMs);
  }
  return { connection, delays };
}

test("repeated failures wait longer, up to half a minute plus jitter", () => {
  assert.deepEqual(failures(initialConnection(), 7).delays, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
});

test("a stable connection resets the backoff, one that broke at once does not", () => {
  const { connection } = failures(initialConnection(), 5);
  const held = lost(live(connection, 0), { code: 1012, now: 60_000, random: half });
  assert.equal(held.delayMs, 1_000);
  const broken = lost(live(connection, 0), { code: 1013, now: 50, random: half });
  assert.equal(broken.delayMs, 30_000);
});

test("a close for misuse waits for minutes", () => {
  const end = lost(live(initialConnection(), 0), { code: 1008, now: 60_000, random: () => 0 });
  assert.ok(end.delayMs >= 60_000);
  assert.ok(end.connection.refused);
});

test("the indicator shows the state of the connection", () => {
  const first = initialConnection();
  assert.equal(indicator(first, true), "connecting");
  const connected = live(first, 5);
  assert.equal(indicator(connected, true), "live");
  const broken = lost(connected, { code: 1006, now: 10 }).connection;
  assert.equal(indicator(broken, true), "reconnecting");
  assert.equal(indicator(connecting(broken), true), "reconnecting");
  assert.equal(indicator(broken, false), "offline");
  assert.equal(indicator(failures(first, 1).connection, true), "reconnecting");
  const refused = lost(connected, { code: 1008, now: 10 }).connection;
  assert.equal(indicator(refused, true), "refused");
  assert.equal(indicator(live(refused, 20), true), "live");
});

test("a live connection is live even if the browser reports being offline, as with a board on localhost", () => {
  assert.equal(indicator(live(initialConnection(), 5), false), "live");
});

// --- the cursor -------------------------------------------------------------------------------------

const AT_7 = { epoch: "e1", seq: 7 };

/**
 * @param {number} seq
 * @returns {Frame[]} one entry of each kind
 */
function entries(seq) {
  return [
    { type: "message.posted", seq, message: message(seq) },
    { type: "message.removed", seq, message_id: 3, reason: "moderated" },
    { type: "message.restored", seq, message: message(3) },
    { type: "message.withheld", seq, message_id: seq },
  ];
}

test("a snapshot sets the cursor, whatever it was", () => {
  /** @type {Frame} */
  const snapshot = { type: "snapshot", epoch: "e2", seq: 4, messages: [], has_more: false };
  assert.deepEqual(advance(null, snapshot), { epoch: "e2", seq: 4 });
  assert.deepEqual(advance(AT_7, snapshot), { epoch: "e2", seq: 4 });
});

test("every kind of entry advances the cursor by one", () => {
  for (const entry of entries(8)) assert.deepEqual(advance(AT_7, entry), { epoch: "e1", seq: 8 });
});

test("a missing, duplicate or early entry is a gap, and so is one before any snapshot", () => {
  for (const seq of [9, 7, 6]) {
    for (const entry of entries(seq)) assert.equal(advance(AT_7, entry), "gap");
  }
  for (const entry of entries(1)) assert.equal(advance(null, entry), "gap");
});

test("a resume at the cursor continues, one at another seq or epoch is a gap", () => {
  assert.equal(advance(AT_7, { type: "resumed", epoch: "e1", seq: 7 }), AT_7);
  assert.equal(advance(AT_7, { type: "resumed", epoch: "e1", seq: 8 }), "gap");
  assert.equal(advance(AT_7, { type: "resumed", epoch: "e2", seq: 7 }), "gap");
  assert.equal(advance(null, { type: "resumed", epoch: "e1", seq: 7 }), "gap");
});

test("a heartbeat ahead of the cursor means that entries are missing", () => {
  assert.equal(advance(AT_7, { type: "heartbeat", seq: 7 }), AT_7);
  assert.equal(advance(AT_7, { type: "heartbeat", seq: 8 }), "gap");
});

test("frames that are not log entries leave the cursor unchanged, including unknown types", () => {
  assert.equal(advance(AT_7, { type: "payment.updated", payment: payment() }), AT_7);
  assert.equal(advance(AT_7, { type: "error", code: "not_found", detail: "" }), AT_7);
  assert.equal(advance(AT_7, /** @type {any} */ ({ type: "viewers", count: 3 })), AT_7);
});

test("the feed is on the page's own host, over TLS if the page is, with the cursor if there is one", () => {
  assert.equal(feedUrl({ protocol: "http:", host: "localhost:8000" }, null), "ws://localhost:8000/api/feed");
  assert.equal(
    feedUrl({ protocol: "https:", host: "b.example" }, { epoch: "a&b", seq: 7 }),
    "wss://b.example/api/feed?after=7&epoch=a%26b",
  );
});

const OPTIONS = { baseMs: 1_000, capMs: 30_000 };

test("the delay doubles from one attempt to the next until the cap", () => {
  const delays = [0, 1, 2, 3, 4, 5, 6, 60].map((attempt) => backoff(attempt, { ...OPTIONS, random: () => 0.5 }));
  assert.deepEqual(delays, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
});

test("the jitter spreads a delay between half and one and a half of its step", () => {
  assert.equal(backoff(3, { ...OPTIONS, random: () => 0 }), 4_000);
  assert.equal(backoff(3, { ...OPTIONS, random: () => 1 }), 12_000);
  const drawn = Array.from({ length: 1_000 }, () => backoff(3, OPTIONS));
  assert.ok(Math.min(...drawn) >= 4_000 && Math.max(...drawn) <= 12_000);
  assert.ok(new Set(drawn).size > 500, "a crowd must not march in step");
});
