import assert from "node:assert/strict";
import test from "node:test";

import { Api } from "../../frontend/api.js";
import { Claims } from "../../frontend/claims.js";
import { Memory } from "../../frontend/memory.js";
import { message, payment, storageOn, Watches } from "./samples.js";
import { BoardServer } from "./server.js";

const server = await BoardServer.start();
test.after(() => server.stop());

/** A device with one store, on which tabs are opened. */
class Device {
  #store;

  /** @param {Map<string, string>} store */
  constructor(store = new Map()) {
    this.#store = store;
  }

  /** A tab, or the same one after a reload when given its store. */
  open(tabStore = new Map()) {
    const feed = new Watches();
    let changes = 0;
    const claims = new Claims({
      api: new Api(`http://${server.host}`),
      feed,
      tab: new Memory(() => storageOn(tabStore)),
      device: new Memory(() => storageOn(this.#store)),
      onChange: () => (changes += 1),
    });
    return { claims, feed, tabStore, changes: () => changes };
  }
}

const fulfilled = payment({ status: "fulfilled", message_id: 7 });

test("a message paid for on this device is still known after a reload", () => {
  const device = new Device();
  const { claims, changes } = device.open();
  claims.add(message(7));
  assert.equal(changes(), 1);
  assert.ok(device.open().claims.isMine(message(7)));
  assert.ok(!device.open().claims.isMine(message(8)));
});

test("two tabs add to one list, and notice each other's changes", () => {
  const device = new Device();
  const [left, right] = [device.open().claims, device.open().claims];
  left.add(message(1));
  right.add(message(2));
  left.reread();
  for (const id of [1, 2]) assert.ok(left.isMine(message(id)) && right.isMine(message(id)));
});

test("the message of an earlier payment becomes one's own when it arrives, also after a reload", async () => {
  server.answer = () => ({ body: message(7) });
  const device = new Device();
  const first = device.open();
  first.claims.await("pay-1");
  assert.deepEqual(first.feed.ids, ["pay-1"]);
  const reloaded = device.open(first.tabStore);
  assert.deepEqual(reloaded.feed.ids, ["pay-1"]);
  await reloaded.claims.hear(payment({ status: "pending" }));
  assert.ok(!reloaded.claims.isMine(message(7)));
  await reloaded.claims.hear(fulfilled);
  assert.ok(reloaded.claims.isMine(message(7)));
  assert.deepEqual(reloaded.feed.ids, []);
  assert.deepEqual(device.open(first.tabStore).feed.ids, []);
});

test("a payment that ended without a post is no longer awaited, and other people's never were", async () => {
  server.requests = [];
  const { claims, feed } = new Device().open();
  claims.await("pay-1");
  await claims.hear(payment({ id: "pay-2", status: "fulfilled", message_id: 9 }));
  await claims.hear(payment({ status: "failed" }));
  assert.deepEqual(feed.ids, []);
  await claims.hear(fulfilled);
  assert.equal(server.requests.length, 0);
});

test("if the message can't be read at that moment, the payment stays awaited", async () => {
  server.answer = () => null;
  const { claims, feed } = new Device().open();
  claims.await("pay-1");
  await claims.hear(fulfilled);
  assert.deepEqual(feed.ids, ["pay-1"]);
  server.answer = () => ({ body: message(7) });
  await claims.hear(fulfilled);
  assert.ok(claims.isMine(message(7)));
});

test("garbage in the tab's store is not a payment", () => {
  const { feed } = new Device().open(new Map([["paidchat.awaited", '["pay-1", 7, null]']]));
  assert.deepEqual(feed.ids, ["pay-1"]);
});

test("after a backup is restored, someone else's message with the same id is not one's own", () => {
  const { claims } = new Device().open();
  claims.add(message(5));
  assert.ok(!claims.isMine(message(5, { posted_at: "2027-01-01T00:00:00Z" })));
});

test("a message is stored once, and beyond 500 the oldest are dropped", () => {
  const device = new Device();
  const { claims } = device.open();
  for (let id = 1; id <= 500; id += 1) claims.add(message(id));
  claims.add(message(500));
  assert.ok(claims.isMine(message(1)));
  claims.add(message(501));
  assert.ok(!claims.isMine(message(1)) && claims.isMine(message(2)) && claims.isMine(message(501)));
});

test("garbage in the device's store is ignored", () => {
  const own = { id: 7, posted_at: message(7).posted_at };
  for (const stored of [[own, null, 5, {}, { id: "7", posted_at: "x" }], { 0: own }]) {
    const { claims } = new Device(new Map([["paidchat.mine", JSON.stringify(stored)]])).open();
    assert.equal(claims.isMine(message(7)), Array.isArray(stored));
  }
});
