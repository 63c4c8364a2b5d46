import assert from "node:assert/strict";
import test from "node:test";

import { Api } from "../../frontend/api.js";
import { checkOut, randomUuid } from "../../frontend/checkout.js";
import { payment } from "./samples.js";
import { BoardServer } from "./server.js";

/** @import { Answer } from "./server.js" */

const server = await BoardServer.start();
test.after(() => server.stop());

/**
 * Lets the server give these answers, one after the other, and the last for ever.
 *
 * @param {Answer[]} answers
 */
function answers(...answers) {
  server.requests = [];
  server.answer = () => (answers.length > 1 ? answers.shift() : answers[0]) ?? null;
}

/** A tab with its draft: what is saved is what the next try starts from. */
class Tab {
  /** @type {Draft} */
  draft;
  /** @type {number[]} */
  waits = [];
  #keys = 0;

  /** @param {string} text */
  constructor(text) {
    this.draft = { text, author: "", intent: null };
  }

  pay() {
    return checkOut({
      api: new Api(`http://${server.host}`),
      draft: this.draft,
      save: (draft) => (this.draft = draft),
      newKey: () => `key-${(this.#keys += 1)}`,
      sleep: async (ms) => void this.waits.push(ms),
    });
  }
}

const sentKeys = () => server.requests.map(({ headers }) => headers["idempotency-key"]);
const problem = (/** @type {string} */ code, status = 409, headers = {}) => ({ status, headers, body: { code, detail: code } });
const created = (change = {}) => ({ status: 201, body: payment(change) });

test("a new payment leads to checkout", async () => {
  answers(created());
  const outcome = await new Tab("hello").pay();
  assert.deepEqual(outcome, { kind: "go", url: "https://checkout.example/c/1", payment: payment() });
});

test("the key is saved before it is sent, so that no reload can lose it", async () => {
  const tab = new Tab("hello");
  server.answer = () => {
    assert.equal(tab.draft.intent?.key, "key-1");
    return created();
  };
  assert.equal((await tab.pay()).kind, "go");
});

test("after a lost answer, a broken server or a provider that is down, the same payment is asked for again", async () => {
  /** @type {[Answer, string][]} */
  const troubles = [
    [null, "unanswered"],
    [problem("internal_error", 500), "unanswered"],
    [{ status: 502, body: "<h1>Bad gateway</h1>" }, "unanswered"],
    [problem("payment_provider_unavailable", 503), "down"],
  ];
  for (const [trouble, kind] of troubles) {
    const tab = new Tab("hello");
    answers(trouble, created());
    assert.equal((await tab.pay()).kind, kind);
    assert.equal((await tab.pay()).kind, "go");
    assert.deepEqual(sentKeys(), ["key-1", "key-1"]);
  }
});

test("while the first try is still being answered, the second waits for it with the same key", async () => {
  const tab = new Tab("hello");
  const busy = problem("idempotency_in_progress", 409, { "Retry-After": "2" });
  answers(busy, busy, created());
  assert.equal((await tab.pay()).kind, "go");
  assert.deepEqual(tab.waits, [2_000, 2_000]);
  assert.deepEqual(sentKeys(), ["key-1", "key-1", "key-1"]);
});

test("a try that never gets answered is given up after half a minute", async () => {
  const tab = new Tab("hello");
  answers(problem("idempotency_in_progress"));
  assert.equal((await tab.pay()).kind, "unanswered");
  const waited = tab.waits.reduce((sum, ms) => sum + ms, 0);
  assert.ok(waited >= 30_000 && waited <= 40_000, `${waited}`);
});

test("what has been paid, or is on its way, is never paid again", async () => {
  for (const status of ["fulfilled", "processing"]) {
    answers(created({ status, checkout_url: null, message_id: 7 }));
    assert.equal((await new Tab("hello").pay()).kind, "known");
    assert.equal(server.requests.length, 1);
  }
});

test("a payment that ended unpaid is followed by a new one, with a new key", async () => {
  for (const status of ["expired", "failed", "refunded", "disputed"]) {
    const tab = new Tab("hello");
    answers(created({ status, checkout_url: null }), created({ id: "pay-2" }));
    const outcome = await tab.pay();
    assert.equal(outcome.kind === "go" && outcome.payment.id, "pay-2");
    assert.deepEqual(sentKeys(), ["key-1", "key-2"]);
    assert.equal(tab.draft.intent?.key, "key-2");
  }
});

test("a key that went with other words is replaced", async () => {
  answers(problem("idempotency_conflict", 422), created());
  assert.equal((await new Tab("hello").pay()).kind, "go");
  assert.deepEqual(sentKeys(), ["key-1", "key-2"]);
});

test("a server that never offers a payable payment is not asked for ever", async () => {
  answers(created({ status: "expired" }));
  assert.equal((await new Tab("hello").pay()).kind, "unanswered");
  assert.equal(server.requests.length, 2);
});

test("refused words come back with their fields, floods with the time to wait", async () => {
  const errors = [{ field: "text", message: "too long" }];
  answers({ status: 422, body: { code: "invalid_request", detail: "No.", errors } });
  assert.deepEqual(await new Tab("hello").pay(), { kind: "invalid", errors, detail: "No." });
  answers(problem("rate_limited", 429, { "Retry-After": "12" }));
  assert.deepEqual(await new Tab("hello").pay(), { kind: "limited", waitMs: 12_000 });
  answers(problem("rate_limited", 429));
  assert.deepEqual(await new Tab("hello").pay(), { kind: "limited", waitMs: 30_000 });
});

test("the buyer is never sent to an address that is none of the web", async () => {
  for (const checkout_url of ["javascript:alert(1)", null]) {
    answers(created({ checkout_url }));
    assert.equal((await new Tab("hello").pay()).kind, "down");
  }
});

test("keys are random UUIDs of version 4, also where crypto.randomUUID is kept from the page", () => {
  const keys = new Set(Array.from({ length: 500 }, () => randomUuid()));
  assert.equal(keys.size, 500);
  for (const key of keys) assert.match(key, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});
