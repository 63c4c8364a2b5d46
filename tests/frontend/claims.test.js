import assert from "node:assert/strict";
import test from "node:test";

import { Claims } from "../../frontend/buying/buyer.js";
import { NoAnswerError, ProblemError } from "../../frontend/feed/api.js";
import { Memory } from "../../frontend/ui/page.js";
import { message, storageOn } from "./samples.js";

/** A device with one store, on which tabs are opened. */
class Device {
  #store;

  /** @param {Map<string, string>} store */
  constructor(store = new Map()) {
    this.#store = store;
  }

  /**
   * A tab.
   *
   * @param {(id: number) => Promise<Message>} [answer] the server's, if it is asked for a message
   */
  open(answer = () => Promise.reject(new Error("nobody asks"))) {
    let changes = 0;
    const claims = new Claims({
      api: { message: answer },
      device: new Memory(() => storageOn(this.#store)),
      onChange: () => (changes += 1),
    });
    return { claims, changes: () => changes };
  }
}

/**
 * @param {string} id
 * @param {Partial<Stored>} [change]
 * @returns {Stored}
 */
const stored = (id, change) => ({ id, stage: "opened", since: 0, dismissed: null, ...change });

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

test("payments are remembered once each, with what was said last, until they are forgotten", () => {
  const device = new Device();
  const [left, right] = [device.open().claims, device.open().claims];
  left.remember(stored("pay-1"));
  right.remember(stored("pay-2"));
  left.remember(stored("pay-1", { stage: "returned" }));
  assert.deepEqual(right.payments(), [stored("pay-2"), stored("pay-1", { stage: "returned" })]);
  right.forget("pay-1");
  left.remember(stored("pay-3"));
  assert.deepEqual(left.payments(), [stored("pay-2"), stored("pay-3")]);
  for (const id of ["pay-2", "pay-3"]) left.forget(id);
  assert.deepEqual(right.payments(), []);
});

test("no more payments are remembered than the feed can watch", () => {
  const { claims } = new Device().open();
  for (let count = 1; count <= 20; count += 1) claims.remember(stored(`pay-${count}`));
  assert.deepEqual(
    claims.payments().map(({ id }) => id),
    Array.from({ length: 15 }, (_, index) => `pay-${index + 6}`),
  );
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

test("what became of a message is remembered with it, as it is heard and as it is asked for", async () => {
  const device = new Device();
  const { claims } = device.open();
  for (const id of [1, 2, 3]) claims.add(message(id, { text: `message ${id} `.repeat(20) }));
  claims.moved(1, { gone: "moderated" });
  claims.moved(9, { gone: "moderated" });
  const states = () => device.open().claims.newest().map(({ id, gone }) => [id, gone]);
  assert.deepEqual(states(), [[3, null], [2, null], [1, "moderated"]]);
  assert.match(claims.newest()[0]?.text ?? "", /^message 3 .{1,50}…$/);
  const later = device.open(async (id) => {
    if (id === 1) return message(1);
    if (id === 3) throw new NoAnswerError();
    throw new ProblemError(410, { reason: "refunded" }, null);
  });
  await later.claims.review();
  assert.deepEqual(states(), [[3, null], [2, "refunded"], [1, null]]);
});

test("garbage in the device's store is ignored", () => {
  const own = { id: 7, posted_at: message(7).posted_at };
  for (const mine of [[own, null, 5, {}, { id: "7", posted_at: "x" }], { 0: own }]) {
    const { claims } = new Device(new Map([["paidchat.mine", JSON.stringify(mine)]])).open();
    assert.equal(claims.isMine(message(7)), Array.isArray(mine));
  }
  const payments = [null, 5, {}, { id: "pay-1" }, stored("pay-2")];
  const { claims } = new Device(new Map([["paidchat.payments", JSON.stringify(payments)]])).open();
  assert.deepEqual(claims.payments(), [stored("pay-2")]);
});
