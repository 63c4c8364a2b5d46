import assert from "node:assert/strict";
import test from "node:test";

import { connecting, indicator, initialConnection, live, lost } from "../../frontend/connection.js";

const half = () => 0.5; // no jitter

/**
 * Fails to connect `times` times from now on.
 *
 * @param {import("../../frontend/connection.js").Connection} connection
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

test("failure upon failure waits longer, up to half a minute and its jitter", () => {
  assert.deepEqual(failures(initialConnection(), 7).delays, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
});

test("a connection that held clears the record, one that broke at once does not", () => {
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

test("the reader is told the truth about the connection", () => {
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

test("a live connection is live even when the browser believes to be offline, as on this very machine", () => {
  assert.equal(indicator(live(initialConnection(), 5), false), "live");
});
