/** Buying a message: passes events to purchase.js, performs the effects that come back, and keeps what the device remembers. */

import { NoAnswerError, ProblemError } from "../feed/api.js";
import { say } from "../ui/format.js";
import { differ, excerpt, storedFrom } from "./payment.js";
import { noPurchase, reduce } from "./purchase.js";
import { draftFrom } from "./text.js";

const LEAVING_MS = 15_000; // if the browser has not reached checkout by then, the button works again
const MOST_MINE = 500;
const MOST_LISTED = 20; // and asked for when the list is opened
const MOST_PAYMENTS = 15; // the feed watches 16, one of which may be new
const IN_PROGRESS_MS = 35_000; // the server gives up an attempt that died after 30 s
const IN_PROGRESS_STEP_MS = 1_000;
const LIMITED_MS = 30_000; // if the server does not say how long

/** Connects the purchase with the form, the card, the stores, the feed and the API. */
export class Buyer {
  #purchase = noPurchase();
  #tracker;
  #parts;

  /** @param {BuyerParts} parts */
  constructor(parts) {
    this.#parts = parts;
    this.#tracker = new Tracker({ api: parts.api, later: parts.later, onAnswer: (answer) => this.tell(answer) });
  }

  /**
   * @param {Pick<Stored, "id" | "stage"> | null} back what the URL says if the buyer came back from checkout
   * @param {Stored[]} kept payments that the device remembered when the page was opened
   */
  open(back, kept) {
    const { tab } = this.#parts;
    const [draft, own] = [draftFrom(tab.read("draft")), storedFrom(tab.read("payment"))];
    this.tell({ type: "opened", draft, own, kept, back });
  }

  /** The pay button was pressed. */
  submit() {
    try {
      this.tell({ type: "submitted", key: randomUuid() });
    } catch (error) {
      this.#fail(error);
    }
  }

  /** @param {Frame} frame from the feed */
  hear(frame) {
    switch (frame.type) {
      case "payment.updated":
        this.tell({ type: "heard", payment: frame.payment });
        break;
      case "message.removed": // a refund or dispute changes the payment as well
        this.#parts.claims.moved(frame.message_id, { gone: frame.reason });
        if (frame.reason === "moderated") this.tell({ type: "moderated", messageId: frame.message_id });
        break;
      case "message.restored":
        this.#parts.claims.moved(frame.message.id, { gone: null });
        this.tell({ type: "restored", messageId: frame.message.id });
        break;
      case "error":
        if (frame.code !== "not_found" || frame.payment_id === undefined) return;
        this.tell({ type: "polled", id: frame.payment_id, payment: null, missing: true });
    }
  }

  /** Another tab changed what the device remembers. */
  share() {
    this.tell({ type: "shared", kept: this.#parts.claims.payments() });
  }

  /** @param {PurchaseEvent} event */
  tell(event) {
    const { followed } = this.#purchase;
    const [purchase, effects] = reduce(this.#purchase, event, { now: Date.now(), chance: Math.random() });
    this.#purchase = purchase;
    for (const effect of effects) this.#perform(effect);
    if (purchase.followed !== followed) this.list();
  }

  /** Draws the list of what was paid for on this device. */
  list() {
    this.#parts.list.render(this.#purchase, this.#parts.claims.newest());
  }

  /** @param {PurchaseEffect} effect */
  #perform(effect) {
    const { tab, claims, feed, composer, card, notice, later } = this.#parts;
    switch (effect.type) {
      case "save":
        return tab.write("draft", effect.draft);
      case "fill":
        return composer.fill(effect.draft);
      case "keep":
        return tab.write("payment", effect.stored);
      case "remember":
        return claims.remember(effect.stored);
      case "forget":
        return claims.forget(effect.id);
      case "watch":
        return feed.watch(effect.id);
      case "unwatch":
        this.#tracker.stop(effect.id);
        return feed.unwatch(effect.id);
      case "poll":
        return this.#tracker.poll(effect.id, effect.delayMs);
      case "hold":
        return composer.hold(effect.reason, effect.on);
      case "card":
        return card.render(effect.card);
      case "pending":
        return this.#parts.showPending(effect.pending);
      case "configure":
        return this.#parts.onConfigure();
      case "notice":
        return effect.notice ? this.#say(effect.notice) : notice.hide();
      case "correct":
        if (!composer.showErrors(effect.errors)) notice.show(effect.detail, { tone: "error" });
        return undefined;
      case "start":
        return void this.#start(effect.intent);
      case "leave":
        later(() => this.tell({ type: "stayed" }), LEAVING_MS);
        return this.#parts.onLeave(effect.url);
      case "wait":
        return void later(() => this.tell({ type: "waited" }), effect.waitMs);
      case "highlight":
        return void this.#find(effect.id, this.#parts.goTo(effect.messageId, !composer.focused));
      case "read":
        return void this.#find(effect.id, this.#read(effect.messageId));
      case "mark":
        return claims.add(effect.message);
      case "show":
        return void this.#parts.goTo(effect.messageId, true);
      case "copy":
        return this.#parts.onCopy(effect.messageId);
      case "focus":
        return composer.focus();
    }
  }

  /** @param {NoticeWords} words */
  #say({ text, tone, retry, waitMs }) {
    const action = retry && { action: { label: say("Try again"), act: () => this.submit() } };
    this.#parts.notice.show(text, { tone, ...action, ...(waitMs !== undefined && { waitMs }) });
  }

  /** @param {Intent} intent */
  async #start(intent) {
    try {
      this.tell(await requestPayment({ api: this.#parts.api, intent }));
    } catch (error) {
      this.#fail(error);
    }
  }

  /** @param {unknown} error of the page itself, between the button and checkout */
  #fail(error) {
    console.error(error);
    this.tell({ type: "refused", refusal: { kind: "broken" } });
  }

  /**
   * @param {string} id of the payment
   * @param {Promise<Found>} finding
   */
  async #find(id, finding) {
    this.tell({ type: "found", id, found: await finding });
  }

  /**
   * @param {number} messageId
   * @returns {Promise<Found>}
   */
  async #read(messageId) {
    try {
      return { kind: "shown", message: await this.#parts.api.message(messageId) };
    } catch (error) {
      const status = error instanceof ProblemError ? error.status : 0;
      return { kind: status === 410 ? "removed" : status === 404 ? "unknown" : "failed" };
    }
  }
}

/** Stores both on the device. Tabs share them, so every change starts from what is stored. */
export class Claims {
  /** @type {Own[]} */
  #mine = [];
  #parts;

  /** @param {ClaimsParts} parts */
  constructor(parts) {
    this.#parts = parts;
    this.#read();
  }

  /** @param {Message} message */
  isMine(message) {
    return this.#mine.some(({ id, posted_at }) => id === message.id && posted_at === message.posted_at);
  }

  /** @param {Message} message paid for on this device */
  add(message) {
    this.#read();
    const { id, posted_at, text } = message;
    if (!this.isMine(message)) this.#mine.push({ id, posted_at, text: excerpt(text), gone: null });
    this.#write();
  }

  /** @returns {Own[]} newest first */
  newest() {
    return this.#mine.slice(-MOST_LISTED).reverse();
  }

  /**
   * @param {number} id of a message of which there is news
   * @param {Partial<Own>} news
   */
  moved(id, news) {
    this.#read();
    const own = this.#mine.find((one) => one.id === id);
    if (!own || !differ({ ...own, ...news }, own)) return;
    Object.assign(own, news);
    this.#write();
  }

  /** Asks the server what became of the newest, because nobody tells a page that is not open. */
  async review() {
    await Promise.all(this.newest().map((own) => this.#ask(own)));
  }

  /** @param {Own} own */
  async #ask({ id, posted_at }) {
    try {
      const message = await this.#parts.api.message(id);
      if (message.posted_at === posted_at) this.moved(id, { text: excerpt(message.text), gone: null });
    } catch (error) {
      if (error instanceof ProblemError && error.status === 410) this.moved(id, { gone: error.reason ?? "moderated" });
    }
  }

  #write() {
    this.#parts.device.write("mine", this.#mine.slice(-MOST_MINE));
    this.reread();
  }

  /** This tab or another added a message. */
  reread() {
    this.#read();
    this.#parts.onChange();
  }

  /** @returns {Stored[]} payments whose message has not been marked yet, oldest first */
  payments() {
    return listIn(this.#parts.device.read("payments")).flatMap((value) => storedFrom(value) ?? []);
  }

  /** @param {Stored} payment to remember; replaces what was remembered about it */
  remember(payment) {
    const others = this.payments().filter(({ id }) => id !== payment.id);
    this.#parts.device.write("payments", [...others, payment].slice(-MOST_PAYMENTS));
  }

  /** @param {string} paymentId */
  forget(paymentId) {
    const others = this.payments().filter(({ id }) => id !== paymentId);
    this.#parts.device.write("payments", others);
  }

  #read() {
    const stored = listIn(this.#parts.device.read("mine"));
    this.#mine = stored.filter((own) => Number.isInteger(own?.id) && typeof own.posted_at === "string");
  }
}

/**
 * @param {unknown} stored
 * @returns {any[]} empty if it is not a list
 */
function listIn(stored) {
  return Array.isArray(stored) ? stored : [];
}

/** Polls payments by id; at most one poll of each is planned. */
export class Tracker {
  /** @type {Map<string, ReturnType<typeof setTimeout>>} */
  #planned = new Map();
  #parts;

  /** @param {TrackerParts} parts */
  constructor(parts) {
    this.#parts = parts;
  }

  /**
   * @param {string} id
   * @param {number} delayMs
   */
  poll(id, delayMs) {
    this.stop(id);
    if (delayMs === 0) void this.#ask(id);
    else this.#planned.set(id, this.#parts.later(() => void this.#ask(id), delayMs));
  }

  /** @param {string} id */
  stop(id) {
    clearTimeout(this.#planned.get(id));
    this.#planned.delete(id);
  }

  /** @param {string} id */
  async #ask(id) {
    let payment = null;
    let missing = false;
    try {
      payment = await this.#parts.api.payment(id);
    } catch (error) {
      missing = error instanceof ProblemError && error.status === 404;
    }
    this.#parts.onAnswer({ type: "polled", id, payment, missing });
  }
}

/**
 * Requests the payment of an intent; waits while an earlier request for it is in progress.
 *
 * @param {object} options
 * @param {Pick<import("../feed/api.js").Api, "createPayment">} options.api
 * @param {Intent} options.intent
 * @param {() => string} [options.newKey]
 * @param {(ms: number) => Promise<void>} [options.sleep]
 * @returns {Promise<StartEvent>}
 */
export async function requestPayment({ api, intent, newKey = randomUuid, sleep = wait }) {
  for (let waited = 0; ; ) {
    try {
      return { type: "started", payment: await api.createPayment(intent, intent.key), key: newKey() };
    } catch (error) {
      const inProgress = error instanceof ProblemError && error.code === "idempotency_in_progress";
      if (!inProgress || waited >= IN_PROGRESS_MS) return { type: "refused", refusal: readError(error, newKey) };
      const pause = Math.max(error.retryAfterMs ?? 0, IN_PROGRESS_STEP_MS);
      await sleep(pause);
      waited += pause;
    }
  }
}

/**
 * @param {unknown} error
 * @param {() => string} newKey
 * @returns {Refusal}
 */
function readError(error, newKey) {
  if (error instanceof NoAnswerError) return { kind: "unanswered" };
  if (!(error instanceof ProblemError)) throw error;
  if (error.code === "idempotency_conflict") return { kind: "conflict", key: newKey() };
  if (error.code === "payment_provider_unavailable") return { kind: "down" };
  if (error.status === 429) return { kind: "limited", waitMs: error.retryAfterMs ?? LIMITED_MS };
  if (error.status !== 422 && error.status !== 413) return { kind: "unanswered" };
  return { kind: "invalid", errors: error.errors, detail: error.message };
}

/**
 * A random UUID (RFC 9562, version 4). Over plain HTTP, browsers offer `crypto.randomUUID` only on localhost.
 */
export function randomUuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const view = new DataView(bytes.buffer);
  view.setUint8(6, (view.getUint8(6) & 0x0f) | 0x40); // the version
  view.setUint8(8, (view.getUint8(8) & 0x3f) | 0x80); // the variant
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/**
 * @param {number} ms
 * @returns {Promise<void>}
 */
function wait(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
