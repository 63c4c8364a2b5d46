import assert from "node:assert/strict";
import test from "node:test";

import { Api } from "../../frontend/feed/api.js";
import { randomUuid, requestPayment } from "../../frontend/buying/buyer.js";
import { noPurchase, reduce } from "../../frontend/buying/purchase.js";
import { payment } from "./samples.js";
import { BoardServer } from "./server.js";

/** @import { Answer } from "./server.js" */

const server = await BoardServer.start();
test.after(() => server.stop());

/**
 * Makes the server give these responses, one after another, and then keep repeating the last.
 *
 * @param {Answer[]} answers
 */
function answers(...answers) {
  server.requests = [];
  server.answer = () => (answers.length > 1 ? answers.shift() : answers[0]) ?? null;
}

/** A tab with its purchase: the next attempt starts where the last one ended. */
class Purchaser {
  purchase = noPurchase();
  /** @type {number[]} */
  waits = [];
  /** @type {Draft | null} the last one saved */
  saved = null;
  #keys = 0;

  /** @param {string} text */
  constructor(text) {
    this.#tell({ type: "typed", text, author: "", amount: null });
  }

  /** Presses the button, and requests payments until there is nothing more to request: returns the last effects. */
  async pay() {
    let effects = this.#tell({ type: "submitted", key: this.#newKey() });
    for (;;) {
      const start = effects.find((effect) => effect.type === "start");
      if (!start) return effects;
      effects = this.#tell(
        await requestPayment({
          api: new Api(`http://${server.host}`),
          intent: start.intent,
          newKey: () => this.#newKey(),
          sleep: async (ms) => void this.waits.push(ms),
        }),
      );
    }
  }

  /** @returns {Promise<string>} "leave" and where to, "known", or the first words of the notice */
  async outcome() {
    const effects = await this.pay();
    for (const effect of effects) {
      if (effect.type === "leave") return `leave to ${effect.url}`;
      if (effect.type === "notice" && effect.notice) return effect.notice.text;
    }
    return this.purchase.followed.length > 0 ? "known" : "nothing";
  }

  #newKey() {
    return `key-${(this.#keys += 1)}`;
  }

  /** @param {PurchaseEvent} event */
  #tell(event) {
    const [purchase, effects] = reduce(this.purchase, event, { now: 0, chance: 0.5 });
    this.purchase = purchase;
    for (const effect of effects) if (effect.type === "save") this.saved = effect.draft;
    return effects;
  }
}

const LEFT = "leave to https://checkout.example/c/1";
const UNANSWERED = /^The board did not respond/;
const DOWN = /^The payment service can’t be reached/;
const sentKeys = () => server.requests.map(({ headers }) => headers["idempotency-key"]);
const problem = (/** @type {string} */ code, status = 409, headers = {}) => ({ status, headers, body: { code, detail: code } });
const created = (change = {}) => ({ status: 201, body: payment(change) });

test("a new payment leads to checkout", async () => {
  answers(created());
  assert.equal(await new Purchaser("hello").outcome(), LEFT);
});

test("the key is saved before it is sent, so that a reload can't lose it", async () => {
  const buyer = new Purchaser("hello");
  /** @type {unknown[]} */
  const saved = [];
  server.answer = ({ headers }) => {
    saved.push([headers["idempotency-key"], buyer.saved?.intent?.key]);
    return saved.length === 1 ? created({ status: "expired" }) : created();
  };
  assert.equal(await buyer.outcome(), LEFT);
  for (const [sent, kept] of /** @type {string[][]} */ (saved)) assert.equal(sent, kept);
  assert.equal(saved.length, 2);
});

test("after a lost response, a broken server or an unavailable provider, the same payment is requested again", async () => {
  /** @type {[Answer, RegExp][]} */
  const troubles = [
    [null, UNANSWERED],
    [problem("internal_error", 500), UNANSWERED],
    [{ status: 502, body: "<h1>Bad gateway</h1>" }, UNANSWERED],
    [problem("payment_provider_unavailable", 503), DOWN],
  ];
  for (const [trouble, words] of troubles) {
    const buyer = new Purchaser("hello");
    answers(trouble, created());
    assert.match(await buyer.outcome(), words);
    assert.equal(await buyer.outcome(), LEFT);
    assert.deepEqual(sentKeys(), ["key-1", "key-1"]);
  }
});

test("while the first attempt is in progress, the second waits for it with the same key", async () => {
  const buyer = new Purchaser("hello");
  const busy = problem("idempotency_in_progress", 409, { "Retry-After": "2" });
  answers(busy, busy, created());
  assert.equal(await buyer.outcome(), LEFT);
  assert.deepEqual(buyer.waits, [2_000, 2_000]);
  assert.deepEqual(sentKeys(), ["key-1", "key-1", "key-1"]);
});

test("an attempt that never gets a response is given up after half a minute", async () => {
  const buyer = new Purchaser("hello");
  answers(problem("idempotency_in_progress"));
  assert.match(await buyer.outcome(), UNANSWERED);
  const waited = buyer.waits.reduce((sum, ms) => sum + ms, 0);
  assert.ok(waited >= 30_000 && waited <= 40_000, `${waited}`);
});

test("a payment that is paid or processing is never paid again", async () => {
  for (const status of ["fulfilled", "processing"]) {
    answers(created({ status, checkout_url: null, message_id: 7 }));
    assert.equal(await new Purchaser("hello").outcome(), "known");
    assert.equal(server.requests.length, 1);
  }
});

test("after a payment that ended unpaid comes a new one, with a new key", async () => {
  for (const status of ["expired", "failed", "refunded", "disputed"]) {
    const buyer = new Purchaser("hello");
    answers(created({ status, checkout_url: null }), created({ id: "pay-2" }));
    assert.equal(await buyer.outcome(), LEFT);
    const [first, second] = sentKeys();
    assert.notEqual(first, second);
    assert.equal(sentKeys().length, 2);
    assert.deepEqual(buyer.saved?.intent, {
      key: second,
      text: "hello",
      author: null,
      amount: null,
      payment: "pay-2",
    });
  }
});

test("a key that was used with other content is replaced", async () => {
  answers(problem("idempotency_conflict", 422), created());
  assert.equal(await new Purchaser("hello").outcome(), LEFT);
  assert.equal(new Set(sentKeys()).size, 2);
});

test("a server that never returns a payable payment is not asked forever", async () => {
  answers(created({ status: "expired" }));
  assert.match(await new Purchaser("hello").outcome(), UNANSWERED);
  assert.equal(server.requests.length, 2);
});

test("a refusal comes back with its fields, a rate limit with the time to wait", async () => {
  const errors = [{ field: "text", message: "too long" }];
  answers({ status: 422, body: { code: "invalid_request", detail: "No.", errors } });
  assert.deepEqual((await new Purchaser("hello").pay()).at(-1), { type: "correct", errors, detail: "No." });
  answers(problem("rate_limited", 429, { "Retry-After": "12" }));
  assert.deepEqual((await new Purchaser("hello").pay()).at(-1), { type: "wait", waitMs: 12_000 });
  answers(problem("rate_limited", 429));
  assert.deepEqual((await new Purchaser("hello").pay()).at(-1), { type: "wait", waitMs: 30_000 });
});

test("the buyer is never sent to anything but a web address", async () => {
  for (const checkout_url of ["javascript:alert(1)", null]) {
    answers(created({ checkout_url }));
    assert.match(await new Purchaser("hello").outcome(), DOWN);
  }
});

test("keys are random UUIDs of version 4, also without crypto.randomUUID", () => {
  const keys = new Set(Array.from({ length: 500 }, () => randomUuid()));
  assert.equal(keys.size, 500);
  for (const key of keys) assert.match(key, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});
