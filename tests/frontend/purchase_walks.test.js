/** Random walks: tabs of one device and a server do what they may do, and the promises to buyers hold after every step. */

import assert from "node:assert/strict";
import test from "node:test";

import { holds, isSpent, mayBePaid, onCard } from "../../frontend/buying/payment.js";
import { noPurchase, reduce } from "../../frontend/buying/purchase.js";
import { same } from "../../frontend/buying/text.js";
import { message, payment, seeded } from "./samples.js";

const WALKS = 400;
const STEPS = 120;
const FIRST_SEED = 1;
const TEXTS = ["", "hello", "more"];
const OFFERS = [[100, 500, 2000], [100, 500], [100]]; // amounts, which may change at any time

/** The server, and what the device stores. */
class World {
  /** @type {Map<string, Payment>} */
  payments = new Map();
  /** @type {Map<string, string>} payments by the key they were requested with */
  keys = new Map();
  /** @type {Set<number>} messages that were taken down */
  removed = new Set();
  /** @type {Map<string, Stored>} */
  remembered = new Map();
  /** @type {Set<number>} messages marked as one's own */
  mine = new Set();
  /** @type {Tab[]} */
  tabs = [];
  now = 0;
  #count = 0;
  #random;

  /** @param {() => number} random */
  constructor(random) {
    this.#random = random;
  }

  /**
   * @template T
   * @param {readonly T[]} choices
   */
  pick(choices) {
    return choices[Math.floor(this.#random() * choices.length)];
  }

  next() {
    return (this.#count += 1);
  }

  random() {
    return this.#random();
  }

  /** @param {Intent} intent */
  request(intent) {
    const id = this.keys.get(intent.key) ?? `pay-${this.next()}`;
    this.keys.set(intent.key, id);
    const known = this.payments.get(id) ?? payment({ id, text: intent.text, author: intent.author, amount: intent.amount ?? 100 });
    const isSame = same(known, intent) && known.amount === (intent.amount ?? 100);
    assert.ok(isSame, "a key always has the same content and amount");
    this.payments.set(id, known);
    return known;
  }

  /**
   * @param {string} id
   * @param {PaymentStatus} status
   */
  move(id, status) {
    const known = /** @type {Payment} */ (this.payments.get(id));
    const message_id = status === "fulfilled" ? this.next() : known.message_id;
    this.payments.set(id, { ...known, status, message_id, checkout_url: null });
  }

  /** Time passes at Stripe and at banks. */
  progress() {
    /** @type {Partial<Record<PaymentStatus, PaymentStatus[]>>} */
    const moves = {
      pending: ["expired"],
      processing: ["fulfilled", "failed"],
      failed: ["fulfilled"], // money that does arrive wins
      fulfilled: ["refunded"],
    };
    const known = this.pick([...this.payments.values()]);
    const status = known && this.pick(moves[known.status] ?? []);
    if (status) this.move(known.id, status);
  }
}

/** A tab: its purchase, what it stores, and what it waits for. */
class Tab {
  purchase = noPurchase();
  /** @type {Set<string>} */
  watched = new Set();
  /** @type {Set<Hold>} */
  holds = new Set();
  /** @type {Card | null} */
  card = null;
  form = "";
  /** @type {string | null} the payment at whose checkout the tab is */
  checkout = null;
  /** @type {Intent | null} */
  starting = null;
  leaving = false;
  waiting = false;
  /** @type {Set<string>} */
  polls = new Set();
  /** @type {Map<string, number>} messages being read, by payment */
  finding = new Map();
  #world;

  /**
   * @param {World} world
   * @param {{ draft: Draft | null, own: Stored | null }} store
   * @param {Pick<Stored, "id" | "stage"> | null} back
   */
  constructor(world, store, back) {
    this.#world = world;
    this.store = store;
    const draft = store.draft ?? { text: "", author: "", amount: null, intent: null };
    this.tell({ type: "opened", draft, own: store.own, kept: [...world.remembered.values()], back });
  }

  /** @param {PurchaseEvent} event */
  tell(event) {
    const before = this.purchase;
    const [after, effects] = reduce(before, event, { now: this.#world.now, chance: this.#world.random() });
    this.purchase = after;
    for (const effect of effects) this.#perform(effect);
    this.#check(before, event);
  }

  /** @param {PurchaseEffect} effect */
  #perform(effect) {
    switch (effect.type) {
      case "save":
        this.store.draft = effect.draft;
        break;
      case "fill":
        this.form = effect.draft.text;
        break;
      case "keep":
        this.store.own = effect.stored;
        break;
      case "remember":
        this.#world.remembered.set(effect.stored.id, effect.stored);
        break;
      case "forget":
        this.#world.remembered.delete(effect.id);
        break;
      case "watch":
        this.watched.add(effect.id);
        break;
      case "unwatch":
        this.watched.delete(effect.id);
        this.polls.delete(effect.id);
        break;
      case "poll":
        this.polls.add(effect.id);
        break;
      case "hold":
        if (effect.on) this.holds.add(effect.reason);
        else this.holds.delete(effect.reason);
        break;
      case "card":
        this.card = effect.card;
        break;
      case "start":
        assert.equal(this.starting, null, "one request at a time");
        for (const one of this.purchase.followed) {
          const paying = one.payment && mayBePaid(one) && same(one.payment, effect.intent);
          assert.ok(!paying, "what may be in progress is not started again");
        }
        this.starting = effect.intent;
        break;
      case "leave":
        this.leaving = true;
        break;
      case "wait":
        this.waiting = true;
        break;
      case "highlight":
      case "read":
        this.finding.set(effect.id, effect.messageId);
        break;
      case "mark":
        this.#world.mine.add(effect.message.id);
    }
  }

  /**
   * The promises.
   *
   * @param {Purchase} before
   * @param {PurchaseEvent} event
   */
  #check(before, event) {
    const { purchase } = this;
    assert.equal(this.form, purchase.draft.text, "the form shows the draft");
    if (event.type !== "opened") assert.deepEqual(this.store.draft ?? before.draft, purchase.draft, "the draft is stored");
    assert.deepEqual([...this.watched].sort(), purchase.followed.map(({ id }) => id).sort());
    assert.deepEqual([...this.holds].sort(), holds(purchase).sort());
    assert.deepEqual(this.card, onCard(purchase)?.card ?? null);
    assert.equal(this.holds.has("sending"), this.starting !== null || this.leaving, "the button is given back");
    assert.equal(this.holds.has("limited"), this.waiting, "the button is given back");
    if (this.holds.has("held")) assert.ok(this.card, "a card says why the button is disabled");
    if (event.type === "typed" || event.type === "opened") return;
    if (before.draft.text !== "" && this.form !== before.draft.text) {
      const isIt = (/** @type {Payment | null} */ one) => one?.text === before.draft.text;
      const posted = [...this.#world.payments.values()].some((one) => isIt(one) && one.message_id !== null);
      const onItsWay = purchase.followed.some((one) => isIt(one.payment) && mayBePaid(one));
      assert.ok(posted || onItsWay, "the draft is cleared only when its message is posted, or on its way");
    }
    const { amount } = purchase.draft;
    assert.ok(amount === null || (purchase.amounts ?? [amount]).includes(amount), "only what is offered is chosen");
    for (const { role, content, takenOut, ...rest } of purchase.followed) {
      if (role === "other" || !content || !mayBePaid({ role, content, takenOut, ...rest })) continue;
      assert.ok(takenOut, "what is on its way does not look unsent");
    }
    for (const { id, role, arrival, payment } of purchase.followed) {
      const posted = arrival === "going" && before.followed.find((one) => one.id === id)?.arrival !== "going";
      if (posted && role !== "other") assert.notEqual(this.form, payment?.text, "what was posted does not look unsent");
    }
  }

  /** What may happen in this tab: events, and answers of the server. */
  moves() {
    const world = this.#world;
    if (this.checkout) return this.#movesAtCheckout(this.checkout);
    /** @type {(() => void)[]} */
    const moves = [
      () => this.#type(world.pick(TEXTS) ?? ""),
      () => this.form && this.tell({ type: "submitted", key: `key-${world.next()}` }),
      () => this.tell({ type: "woke" }),
      () => this.tell({ type: "ticked" }),
      () => this.tell({ type: "configured", amounts: world.pick(OFFERS) ?? [] }),
      () => this.tell({ type: "shared", kept: [...world.remembered.values()] }),
      () => this.#reopen(this.store),
      () => this.#reopen({ draft: null, own: null }),
      ...this.answers(),
    ];
    const { card } = this;
    for (const action of card?.actions ?? []) moves.push(() => this.tell({ type: "acted", action }));
    if (this.starting) moves.push(() => this.#refuse());
    for (const id of this.finding.keys()) moves.push(() => this.#find(id, { kind: "failed" }));
    for (const id of this.polls) moves.push(() => this.#poll(id, null));
    for (const id of this.watched) moves.push(() => this.hear(id));
    return moves;
  }

  /** Whatever the tab waits for, when everything works. */
  answers() {
    /** @type {(() => void)[]} */
    const moves = [];
    const { starting } = this;
    if (starting) moves.push(() => this.#answer(starting));
    if (this.leaving) moves.push(() => this.#leave(), () => this.#stay());
    if (this.waiting) moves.push(() => this.#wait());
    for (const id of this.polls) moves.push(() => this.#poll(id, this.#world.payments.get(id) ?? null));
    for (const [id, messageId] of this.finding) {
      const gone = this.#world.removed.has(messageId) || this.#isRefunded(messageId);
      moves.push(() => this.#find(id, gone ? { kind: "removed" } : { kind: "shown", message: message(messageId) }));
    }
    return moves;
  }

  /** @param {string} id of the payment that is paid for there */
  #movesAtCheckout(id) {
    const world = this.#world;
    const back = () => this.#reopen(this.store, { id, stage: "returned" });
    /** @param {PaymentStatus} status */
    const pay = (status) => {
      world.move(id, status);
      back();
    };
    const moves = [
      back,
      () => this.#reopen(this.store, { id, stage: "cancelled" }),
      () => this.#goBack(),
      () => this.#reopen({ draft: null, own: null }), // the tab is closed, and another one opened
    ];
    if (world.payments.get(id)?.status !== "pending") return moves;
    return [...moves, () => pay("fulfilled"), () => pay("processing"), () => world.move(id, "processing")];
  }

  /** @param {string} text */
  #type(text) {
    const amounts = this.purchase.amounts ?? [];
    const amount = this.#world.pick([null, ...amounts.slice(1)]) ?? null;
    this.form = text;
    this.tell({ type: "typed", text, author: "", amount });
  }

  /** @param {string} id */
  hear(id) {
    const known = this.#world.payments.get(id);
    if (known) this.tell({ type: "heard", payment: known });
  }

  /** @param {Intent} intent */
  #answer(intent) {
    const known = this.#world.request(intent);
    this.starting = null;
    this.leaving = known.status === "pending";
    this.tell({ type: "started", payment: known, key: `key-${this.#world.next()}` });
  }

  #refuse() {
    /** @type {Refusal[]} */
    const refusals = [{ kind: "unanswered" }, { kind: "down" }, { kind: "broken" }, { kind: "limited", waitMs: 1 }];
    if (this.starting?.amount) refusals.push({ kind: "invalid", errors: [{ field: "amount", message: "" }], detail: "" });
    const refusal = this.#world.pick(refusals);
    this.starting = null;
    if (refusal?.kind === "limited") this.waiting = true;
    if (refusal) this.tell({ type: "refused", refusal });
  }

  #leave() {
    this.checkout = this.purchase.followed.find(({ role }) => role === "own")?.id ?? null;
  }

  #stay() {
    this.leaving = false;
    this.tell({ type: "stayed" });
  }

  #wait() {
    this.waiting = false;
    this.tell({ type: "waited" });
  }

  #goBack() {
    this.checkout = null;
    this.leaving = false;
    this.tell({ type: "came back" });
  }

  /**
   * @param {string} id
   * @param {Payment | null} known
   */
  #poll(id, known) {
    this.polls.delete(id);
    this.tell({ type: "polled", id, payment: known, missing: false });
  }

  /**
   * @param {string} id
   * @param {Found} found
   */
  #find(id, found) {
    const messageId = this.finding.get(id) ?? 0;
    this.finding.delete(id);
    if (found.kind === "removed") this.#world.removed.add(messageId);
    this.tell({ type: "found", id, found });
  }

  /** @param {number} messageId */
  #isRefunded(messageId) {
    return [...this.#world.payments.values()].some((one) => one.message_id === messageId && one.status === "refunded");
  }

  /**
   * @param {Tab["store"]} store the tab's own if it is only reloaded
   * @param {Pick<Stored, "id" | "stage"> | null} [back]
   */
  #reopen(store, back = null) {
    const { tabs } = this.#world;
    tabs[tabs.indexOf(this)] = new Tab(this.#world, store, back);
  }
}

/**
 * What was paid on the device, and whether something still remembers it.
 *
 * @param {World} world
 */
function checkNothingForgotten(world) {
  for (const { id, status, message_id } of world.payments.values()) {
    if (status !== "processing" && status !== "fulfilled") continue;
    if (message_id !== null && (world.mine.has(message_id) || world.removed.has(message_id))) continue;
    assert.ok(world.remembered.has(id), `${id} is ${status}, and forgotten`);
  }
}

/** @param {number} seed */
function walk(seed) {
  const world = new World(seeded(seed));
  for (let count = 0; count < 2; count += 1) world.tabs.push(new Tab(world, { draft: null, own: null }, null));
  for (let step = 0; step < STEPS; step += 1) {
    world.now += 1_000;
    if (world.random() < 0.1) world.progress();
    world.pick(world.pick(world.tabs)?.moves() ?? [])?.();
    checkNothingForgotten(world);
  }
  settle(world);
}

/**
 * Everything comes to its end, and every buyer back to the board: no button is disabled, and all posts are marked.
 *
 * @param {World} world
 */
function settle(world) {
  for (const { id, status } of [...world.payments.values()]) {
    if (status === "pending") world.move(id, "expired");
    if (status === "processing") world.move(id, "fulfilled");
  }
  world.tabs = world.tabs.map((tab) => new Tab(world, tab.store, null));
  for (let round = 0; round < 20; round += 1) {
    for (const tab of world.tabs) {
      for (const id of tab.watched) tab.hear(id);
      tab.answers()[0]?.();
    }
  }
  for (const tab of world.tabs) assert.deepEqual([...tab.holds], [], "every button is given back");
  for (const { status, message_id } of world.payments.values()) {
    if (status === "fulfilled" && message_id !== null) assert.ok(world.mine.has(message_id), "every post is marked");
  }
  for (const id of world.remembered.keys()) {
    const status = world.payments.get(id)?.status ?? "pending";
    assert.ok(isSpent(status), `${id} is ${status}, and still remembered`);
  }
}

test("whatever buyers, tabs, the network and banks do: nothing is paid twice, forgotten or shown as unsent", () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + WALKS; seed += 1) {
    try {
      walk(seed);
    } catch (error) {
      throw new Error(`in the walk with seed ${seed}`, { cause: error });
    }
  }
});
