import assert from "node:assert/strict";
import test from "node:test";

import { Api } from "../../frontend/api.js";
import { Tracker } from "../../frontend/tracker.js";
import { payment, Watches } from "./samples.js";
import { BoardServer, until } from "./server.js";

/** @import { Answer } from "./server.js" */

/**
 * A tracker on its own server, for one test.
 *
 * @param {import("node:test").TestContext} context
 * @param {(count: number) => Answer} answer to the question with this number
 */
async function started(context, answer) {
  const server = await BoardServer.start();
  server.answer = () => answer(server.requests.length);
  const feed = new Watches();
  /** @type {(Followed | null)[]} */
  const changes = [];
  const tracker = new Tracker({
    api: new Api(`http://${server.host}`),
    feed,
    onChange: (followed) => changes.push(followed),
  });
  context.after(() => {
    tracker.forget();
    return server.stop();
  });
  return { server, feed, tracker, changes };
}

const status = (/** @type {Tracker} */ tracker) => tracker.followed?.payment?.status;

test("a followed payment is watched and requested at once", async (context) => {
  const { server, feed, tracker } = await started(context, () => ({ body: payment({ status: "fulfilled" }) }));
  tracker.follow("pay-1", "returned");
  assert.deepEqual(feed.ids, ["pay-1"]);
  await until(() => status(tracker) === "fulfilled");
  assert.equal(server.requests[0]?.url, "/api/payments/pay-1");
});

test("it is polled until its end is known, through errors too", async (context) => {
  const answers = [null, { status: 500, body: {} }, { body: payment({ status: "fulfilled" }) }];
  const { server, tracker } = await started(context, (count) => answers[count - 1] ?? null);
  tracker.follow("pay-1", "returned");
  await until(() => status(tracker) === "fulfilled", 20_000);
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  assert.equal(server.requests.length, 3);
});

test("updates from the feed are applied, for this payment only", async (context) => {
  const { tracker } = await started(context, () => ({ body: payment() }));
  tracker.follow("pay-1", "returned");
  await until(() => status(tracker) === "pending");
  tracker.hear(payment({ id: "pay-2", status: "failed" }));
  assert.equal(status(tracker), "pending");
  tracker.hear(payment({ status: "fulfilled" }));
  assert.equal(status(tracker), "fulfilled");
});

test("a payment that the server does not know is missing, until it does", async (context) => {
  const { tracker } = await started(context, () => ({ status: 404, body: { code: "not_found" } }));
  tracker.follow("pay-1", "returned");
  await until(() => tracker.followed?.missing);
  tracker.hear(payment());
  assert.equal(tracker.followed?.missing, false);
});

test("following another payment ends the first, and forgetting ends all", async (context) => {
  const { feed, tracker, changes } = await started(context, () => ({ body: payment() }));
  tracker.follow("pay-1", "returned");
  tracker.follow("pay-2", "returned");
  assert.deepEqual(feed.ids, ["pay-2"]);
  tracker.forget();
  assert.deepEqual(feed.ids, []);
  assert.equal(changes.at(-1), null);
  assert.equal(tracker.followed, null);
});

test("waking polls at once while there is something to wait for, and not after that", async (context) => {
  const { server, tracker } = await started(context, () => ({ body: payment() }));
  tracker.wake();
  tracker.follow("pay-1", "returned");
  await until(() => status(tracker) === "pending");
  tracker.wake();
  await until(() => server.requests.length === 2, 1_000);
  tracker.hear(payment({ status: "fulfilled" }));
  tracker.wake();
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(server.requests.length, 2);
});

test("a message that turns out to be removed is remembered as such", async (context) => {
  const { tracker } = await started(context, () => ({ body: payment({ status: "fulfilled" }) }));
  tracker.follow("pay-1", "returned");
  await until(() => status(tracker) === "fulfilled");
  tracker.markRemoved();
  assert.equal(tracker.followed?.removed, true);
});
