import assert from "node:assert/strict";
import test from "node:test";

import { cardFor } from "../../frontend/buying/payment.js";
import { noPurchase, reduce } from "../../frontend/buying/purchase.js";
import { message, payment } from "./samples.js";

/** @typedef {PurchaseEvent & { at?: number }} Event an event, and when it happens, in milliseconds */
/** @typedef {[string, Event[], string[]]} Row what is shown, events of which the last counts, and what is done then */

const URL = "https://checkout.example/c/1";
const AMOUNTS = [100, 500, 2000];
/** @type {Intent} */
const INTENT = { key: "key-1", text: "hello", author: null, amount: null, payment: "pay-1" };
/** @type {PaymentStatus[]} */
const STATUSES = ["pending", "processing", "fulfilled", "failed", "expired", "refunded", "disputed"];

/**
 * The page is opened with what is stored.
 *
 * @param {{ text?: string, amount?: number | null, intent?: Intent | null, own?: Stored, kept?: Stored[], back?: Stage }} [stored]
 * @returns {Event}
 */
function opened({ text = "", amount = null, intent = null, own, kept = [], back } = {}) {
  const draft = { text, author: "", amount, intent };
  return { type: "opened", draft, own: own ?? null, kept, back: back ? { id: "pay-1", stage: back } : null };
}

/**
 * @param {Stage} stage
 * @param {Partial<Stored>} [change]
 * @returns {Stored}
 */
const stored = (stage, change = {}) => ({ id: "pay-1", stage, since: 0, dismissed: null, ...change });

/**
 * @param {PaymentStatus} status
 * @param {Partial<Payment>} [change]
 */
function paid(status, change = {}) {
  const message_id = status === "fulfilled" ? 7 : null;
  return payment({ status, message_id, checkout_url: status === "pending" ? URL : null, ...change });
}

/** @type {(status: PaymentStatus, change?: Partial<Payment>) => Event} */
const heard = (status, change) => ({ type: "heard", payment: paid(status, change) });
/** @type {(status: PaymentStatus | null, missing?: boolean) => Event} */
const polled = (status, missing = false) => ({ type: "polled", id: "pay-1", payment: status && paid(status), missing });
/** @type {(status: PaymentStatus, change?: Partial<Payment>) => Event} */
const started = (status, change) => ({ type: "started", payment: paid(status, change), key: "key-2" });
/** @type {(refusal: Refusal) => Event} */
const refused = (refusal) => ({ type: "refused", refusal });
/** @type {(text: string, amount?: number | null) => Event} */
const typed = (text, amount = null) => ({ type: "typed", text, author: "", amount });
/** @type {(kind: Found["kind"]) => Event} */
const found = (kind) => ({ type: "found", id: "pay-1", found: kind === "shown" ? { kind, message: message(7) } : { kind } });
/** @type {(action: Action) => Event} */
const acted = (action) => ({ type: "acted", action });
/** @type {(at: number) => Event} */
const ticked = (at) => ({ type: "ticked", at });
/** @type {(...amounts: number[]) => Event} */
const configured = (...amounts) => ({ type: "configured", amounts });
/** @type {Event} */
const submitted = { type: "submitted", key: "key-1" };
const writing = [opened(), typed("hello")];
const sending = [...writing, submitted];
const waiting = [opened({ text: "hello", back: "returned" }), polled("pending")];
const byBank = [...waiting, heard("processing")];
const posted = [...waiting, heard("fulfilled")];

/** @type {Row[]} */
const TABLE = [
  ["opening: nothing stored, nothing to do", [opened()], []],
  ["opening: the draft is put into the form", [opened({ text: "hello" })], ['fill "hello"']],

  [
    "starting: the key is saved before it is sent",
    sending,
    ['save "hello" key-1', "disable sending", "no notice", "start key-1"],
  ],
  ["starting: a second click does nothing", [...sending, submitted], []],
  [
    "starting: the payment is remembered before the browser leaves for checkout",
    [...sending, started("pending")],
    ['save "hello" key-1 pay-1', "keep pay-1 opened", "watch pay-1", "remember pay-1 opened", `leave to ${URL}`],
  ],
  ["starting: a click while the browser is leaving does nothing", [...sending, started("pending"), submitted], []],
  [
    "starting: if the browser does not leave, the button is given back",
    [...sending, started("pending"), { type: "stayed" }],
    ["enable sending"],
  ],
  [
    "starting: but not because an earlier attempt did not leave",
    [...sending, started("pending"), { type: "came back" }, submitted, { type: "stayed" }],
    [],
  ],
  [
    "starting: whoever comes Back from checkout gets the button back, and the payment is asked for",
    [...sending, started("pending"), { type: "came back" }],
    ["enable sending", "poll pay-1 after 0"],
  ],
  [
    "starting: what is paid already is not paid again",
    [...sending, started("fulfilled")],
    [
      'save ""',
      'fill ""',
      "keep pay-1 returned",
      "watch pay-1",
      "remember pay-1 returned",
      "enable sending",
      "card: Your message is on the board",
      "highlight 7",
    ],
  ],
  [
    "starting: what is on its way is not paid again, and its text leaves the form",
    [...sending, started("processing")],
    [
      'save "" key-1',
      'fill ""',
      "keep pay-1 returned",
      "watch pay-1",
      "remember pay-1 returned",
      "enable sending",
      "card: Waiting for your bank",
      "poll pay-1 after 0",
    ],
  ],
  [
    "starting: an intent that has ended is replaced",
    [...sending, started("expired")],
    ['save "hello" key-2', "no notice", "start key-2"],
  ],
  [
    "starting: but only once",
    [...sending, started("expired"), started("failed")],
    ["enable sending", "notice: The board did not respond, try again"],
  ],
  [
    "starting: a key that was used with other content is replaced",
    [...sending, refused({ kind: "conflict", key: "key-2" })],
    ['save "hello" key-2', "no notice", "start key-2"],
  ],
  [
    "starting: what was typed meanwhile stays when the intent is replaced",
    [...sending, typed("hello, you"), started("expired")],
    ['save "hello, you" key-2', "no notice", "start key-2"],
  ],
  [
    "starting: nobody is sent to anything but a web address",
    [...sending, started("pending", { checkout_url: "javascript:alert(1)" })],
    ["enable sending", "notice: The payment service can’t be reached right now, try again"],
  ],
  [
    "starting: without an answer (the network is gone) the same intent can be tried again",
    [...sending, refused({ kind: "unanswered" })],
    ["enable sending", "notice: The board did not respond, try again"],
  ],
  [
    "starting: and then has the same key",
    [...sending, refused({ kind: "unanswered" }), { type: "submitted", key: "key-9" }],
    ["disable sending", "no notice", "start key-1"],
  ],
  [
    "starting: if Stripe can't be reached, so it can",
    [...sending, refused({ kind: "down" })],
    ["enable sending", "notice: The payment service can’t be reached right now, try again"],
  ],
  [
    "starting: if the page itself fails, so it can",
    [...sending, refused({ kind: "broken" })],
    ["enable sending", "notice: This page ran into an error and couldn’t open checkout, try again"],
  ],
  [
    "starting: even if it fails before anything is sent",
    [...writing, refused({ kind: "broken" })],
    ["notice: This page ran into an error and couldn’t open checkout, try again"],
  ],
  [
    "starting: refused fields are shown",
    [...sending, refused({ kind: "invalid", errors: [], detail: "No." })],
    ["enable sending", "correct: No."],
  ],
  [
    "starting: Retry-After holds the button",
    [...sending, refused({ kind: "limited", waitMs: 12_000 })],
    ["enable sending", "disable limited", "notice: Too many payments were started from here, 12000 ms", "wait 12000"],
  ],
  [
    "starting: for as long as it says",
    [...sending, refused({ kind: "limited", waitMs: 12_000 }), { type: "waited" }],
    ["enable limited"],
  ],
  ["starting: and no click gets through", [...sending, refused({ kind: "limited", waitMs: 1 }), submitted], []],
  ["starting: a late answer is ignored", [...sending, { type: "came back" }, started("pending")], []],

  [
    "amounts: one key per intent, which is text, name and amount",
    [...sending, refused({ kind: "unanswered" }), typed("hello", 500), { type: "submitted", key: "key-2" }],
    ['save "hello" for 500 key-2 for 500', "disable sending", "no notice", "start key-2 for 500"],
  ],
  [
    "amounts: the same amount again is the same intent",
    [...writing, typed("hello", 500), submitted, refused({ kind: "down" }), typed("hello", 500), { type: "submitted", key: "key-2" }],
    ["disable sending", "no notice", "start key-1 for 500"],
  ],
  [
    "amounts: the one that was chosen is kept over a reload",
    [opened({ text: "hello", amount: 500 }), configured(100, 500, 2000)],
    [],
  ],
  [
    "amounts: if it is no longer offered then, the page says so and takes the lowest",
    [opened({ text: "hello", amount: 500 }), configured(200, 1000)],
    ['save "hello"', 'fill "hello"', "notice: The board’s amounts have changed"],
  ],
  [
    "amounts: the same if the server's page came with the amounts",
    [configured(200, 1000), opened({ text: "hello", amount: 500 })],
    ['save "hello"', 'fill "hello"', "notice: The board’s amounts have changed"],
  ],
  [
    "amounts: if it has become the lowest, there is nothing to say",
    [opened({ text: "hello", amount: 500 }), configured(500, 1000)],
    ['save "hello"', 'fill "hello"'],
  ],
  [
    "amounts: if the server no longer offers it, the board is asked again",
    [...writing, typed("hello", 500), submitted, refused({ kind: "invalid", errors: [{ field: "amount", message: "" }], detail: "" })],
    ['save "hello" key-1 for 500', 'fill "hello"', "enable sending", "notice: The board’s amounts have changed", "configure"],
  ],
  [
    "amounts: and the same text for the lowest is another intent",
    [
      ...writing,
      typed("hello", 500),
      submitted,
      refused({ kind: "invalid", errors: [{ field: "amount", message: "" }], detail: "" }),
      configured(200),
      { type: "submitted", key: "key-2" },
    ],
    ['save "hello" key-2', "disable sending", "no notice", "start key-2"],
  ],
  [
    "amounts: cancelling brings it back, in a tab without a draft too",
    [opened({ back: "cancelled" }), heard("pending", { amount: 500 })],
    ['save "hello" for 500', 'fill "hello" for 500'],
  ],
  [
    "amounts: the lowest is none of its own",
    [opened({ back: "cancelled" }), heard("pending", { amount: 100 })],
    ['save "hello"', 'fill "hello"'],
  ],
  [
    "amounts: nobody pays more for the next message unasked",
    [opened({ text: "hello", amount: 500, back: "returned" }), heard("pending", { amount: 500 })],
    ['save ""', 'fill ""', "enable held", "card: Thank you!", 'publishing "hello"'],
  ],
  [
    "amounts: a text that is being paid for can't be paid for with another amount",
    [...waiting, typed("hello", 500)],
    ['save "hello" for 500', "disable held"],
  ],

  [
    "returned: the payment is watched, asked for, remembered, and holds the button",
    [opened({ text: "hello", back: "returned" })],
    [
      'fill "hello"',
      "keep pay-1 returned",
      "watch pay-1",
      "remember pay-1 returned",
      "disable held",
      "card: Thank you!",
      "poll pay-1 after 0",
    ],
  ],
  [
    "returned: once it is known what was paid for, that leaves the form for the board, and it is asked for again",
    waiting,
    ['save ""', 'fill ""', "enable held", "card: Thank you!", 'publishing "hello"', "poll pay-1 after 2000"],
  ],
  [
    "returned: in the tab where it was written, that is known at once",
    [opened({ text: "hello", intent: INTENT, back: "returned" })],
    [
      'save "" key-1 pay-1',
      "keep pay-1 returned",
      "watch pay-1",
      "remember pay-1 returned",
      "card: Thank you!",
      'publishing "hello"',
      "poll pay-1 after 0",
    ],
  ],
  [
    "returned: another text in the form stays",
    [opened({ text: "more", intent: INTENT, back: "returned" }), polled("pending")],
    ['publishing "hello"', "poll pay-1 after 2000"], // now with the time of the payment
  ],
  ["returned: the same text can be typed again and stays, but no click gets through", [...waiting, typed("hello"), submitted], []],
  ["returned: it stays when there is news, too", [...waiting, typed("hello"), heard("processing")], ["card: Waiting for your bank", "nothing is being published"]],
  ["returned: less and less often", [...waiting, polled("pending")], ["poll pay-1 after 4000"]],
  ["returned: also without an answer", [...waiting, polled(null)], ["poll pay-1 after 4000"]],
  ["returned: after a long wait the card says so", [...waiting, ticked(21_000)], ["card: Still being confirmed"]],
  ["returned: another text can be sent", [...waiting, typed("more")], ['save "more"']],
  [
    "returned: a second payment for the same text can't",
    [...waiting, typed("more"), typed(" hello ")],
    ['save " hello "', "disable held"],
  ],
  [
    "returned: an expired checkout is said, and gives the text back",
    [...waiting, heard("expired")],
    ['save "hello"', 'fill "hello"', "card: The checkout has expired", "nothing is being published"],
  ],
  [
    "returned: so is a payment that was refunded instead of posted",
    [...waiting, heard("refunded")],
    ['save "hello"', 'fill "hello"', "card: Your payment was refunded", "nothing is being published"],
  ],
  [
    "returned: money that arrives after all is posted",
    [...waiting, heard("expired"), heard("fulfilled")],
    ['save ""', 'fill ""', "card: Your message is on the board", 'publishing "hello"', "highlight 7"],
  ],
  [
    "returned: an unknown payment is said to be, and not remembered",
    [opened({ back: "returned" }), polled(null, true)],
    ["keep nothing", "forget pay-1", "enable held", "card: We can’t find that payment"],
  ],
  [
    "returned: until it turns out to be known",
    [opened({ back: "returned" }), polled(null, true), heard("pending")],
    ["keep pay-1 returned", "remember pay-1 returned", "card: Thank you!", 'publishing "hello"'],
  ],

  [
    "cancelled: said at once",
    [opened({ text: "hello", back: "cancelled" })],
    [
      'fill "hello"',
      "keep pay-1 cancelled",
      "watch pay-1",
      "remember pay-1 cancelled",
      "notice: Payment cancelled",
      "poll pay-1 after 0",
    ],
  ],
  [
    "cancelled: in a tab without a draft the text comes back",
    [opened({ back: "cancelled" }), polled("pending")],
    ['save "hello"', 'fill "hello"'],
  ],
  [
    "cancelled: once, so that it can be cleared",
    [opened({ back: "cancelled" }), polled("pending"), typed(""), heard("pending")],
    [],
  ],
  [
    "cancelled: the same text is the same payment",
    [opened({ text: "hello", back: "cancelled" }), polled("pending"), submitted, started("pending")],
    ['save "hello" key-1 pay-1', "keep pay-1 opened", "remember pay-1 opened", `leave to ${URL}`],
  ],
  [
    "cancelled: if it was paid after all, “nothing was charged” goes",
    [opened({ text: "hello", back: "cancelled" }), heard("processing")],
    ['save ""', 'fill ""', "card: Waiting for your bank", "no notice"],
  ],
  [
    "cancelled: a late answer does not give the text back",
    [opened({ text: "hello", back: "cancelled" }), heard("processing"), typed(""), heard("pending")],
    [],
  ],
  [
    "cancelled: when it expires, it is forgotten",
    [opened({ text: "hello", back: "cancelled" }), polled("pending"), heard("expired")],
    ["keep nothing", "unwatch pay-1", "forget pay-1", "no notice"],
  ],

  [
    "posted: the message is highlighted, in place of the one that was being published",
    posted,
    ["card: Your message is on the board", "highlight 7"],
  ],
  ["posted: once, however often it is reported", [...posted, heard("fulfilled"), polled("fulfilled")], []],
  [
    "posted: another text in the form stays",
    [...waiting, typed("the next one"), heard("fulfilled")],
    ["card: Your message is on the board", "highlight 7"],
  ],
  [
    "posted: the message is marked as mine, and the payment forgotten",
    [...posted, found("shown")],
    ["keep nothing", "forget pay-1", "nothing is being published", "mark 7"],
  ],
  [
    "posted: if the message can't be read, the payment stays remembered, and the next report is followed",
    [...posted, found("failed"), heard("fulfilled")],
    ["highlight 7"],
  ],
  ["posted: or waking up", [...posted, found("failed"), { type: "woke" }], ["poll pay-1 after 0"]],
  [
    "posted: a message that was taken down is said to be",
    [...posted, found("removed")],
    ["keep nothing", "forget pay-1", "card: Your message was taken off the board", "nothing is being published"],
  ],
  [
    "posted: also while the card is open",
    [...posted, found("shown"), { type: "moderated", messageId: 7 }],
    ["card: Your message was taken off the board"],
  ],
  [
    "posted: and when it is back",
    [...posted, found("shown"), { type: "moderated", messageId: 7 }, { type: "restored", messageId: 7 }],
    ["card: Your message is on the board"],
  ],
  ["posted: other people's messages are not my business", [...posted, { type: "moderated", messageId: 8 }], []],
  [
    "posted: a refund is said",
    [...posted, found("shown"), heard("refunded", { message_id: 7 })],
    ["card: Your payment was refunded"],
  ],
  [
    "posted: so is a dispute",
    [...posted, found("shown"), heard("disputed", { message_id: 7 })],
    ["card: Your payment is disputed"],
  ],
  [
    "posted: the card closes when the next message is written",
    [...posted, found("shown"), typed("n")],
    ['save "n"', "unwatch pay-1", "no card"],
  ],
  [
    "posted: even before the message was read, which is then still marked",
    [...posted, typed("n"), found("shown")],
    ["keep nothing", "unwatch pay-1", "forget pay-1", "mark 7"],
  ],
  [
    "posted: the same text can be written again, even before the message was read",
    [...posted, typed("hello")],
    [
      'save "hello"',
      "keep pay-1 returned, dismissed while fulfilled",
      "remember pay-1 returned, dismissed while fulfilled",
      "no card",
      "nothing is being published",
    ],
  ],
  ["posted: the card shows", [...posted, acted("show")], ["show 7"]],
  ["posted: the card copies", [...posted, acted("copy")], ["copy 7"]],

  ["by bank: the card waits", byBank, ["card: Waiting for your bank", "nothing is being published"]],
  ["by bank: it is asked for rarely", [...byBank, polled("processing")], ["poll pay-1 after 60000"]],
  ["by bank: a late answer changes nothing", [...byBank, heard("pending")], []],
  [
    "by bank: when the card is dismissed, that is remembered",
    [...byBank, acted("dismiss")],
    [
      "keep pay-1 returned, dismissed while processing",
      "remember pay-1 returned, dismissed while processing",
      "no card",
    ],
  ],
  [
    "by bank: if the text was typed again, it does not look unsent then",
    [...byBank, typed("hello"), acted("dismiss")],
    [
      'save ""',
      'fill ""',
      "keep pay-1 returned, dismissed while processing",
      "remember pay-1 returned, dismissed while processing",
      "enable held",
      "no card",
    ],
  ],
  [
    "by bank: another text in the form stays then",
    [...byBank, typed("more"), acted("dismiss")],
    [
      "keep pay-1 returned, dismissed while processing",
      "remember pay-1 returned, dismissed while processing",
      "no card",
    ],
  ],
  [
    "by bank: writing the same text again brings the card back, and no button",
    [...byBank, acted("dismiss"), typed("hello")],
    ['save "hello"', "disable held", "card: Waiting for your bank"],
  ],
  [
    "by bank: after that the message is marked without going there",
    [...byBank, acted("dismiss"), heard("fulfilled")],
    ["card: Your message is on the board", "read 7"],
  ],
  [
    "by bank: or, if the bank refuses, the text comes back",
    [...byBank, acted("dismiss"), heard("failed")],
    ['save "hello"', 'fill "hello"', "card: Your bank refused the payment"],
  ],
  [
    "by bank: a refusal gives the text back",
    [...byBank, heard("failed")],
    ['save "hello"', 'fill "hello"', "card: Your bank refused the payment"],
  ],
  [
    "by bank: the same text can then be sent",
    [...byBank, heard("failed"), submitted],
    ['save "hello" key-1', "disable sending", "no notice", "start key-1"],
  ],
  [
    "by bank: and the refused payment has been read, though its money may still arrive",
    [...byBank, heard("failed"), submitted, started("pending", { id: "pay-2" })],
    [
      'save "hello" key-1 pay-2',
      "keep pay-2 opened",
      "watch pay-2",
      "remember pay-1 returned, dismissed while failed",
      "remember pay-2 opened",
      "no card",
      `leave to ${URL}`,
    ],
  ],
  [
    "by bank: Try again",
    [...byBank, heard("failed"), typed(""), acted("rewrite")],
    [
      'save "hello"',
      'fill "hello"',
      "keep pay-1 returned, dismissed while failed",
      "remember pay-1 returned, dismissed while failed",
      "no card",
      "focus",
    ],
  ],
  [
    "by bank: money that arrives after a refusal was read is marked all the same",
    [...byBank, heard("failed"), acted("dismiss"), heard("fulfilled")],
    ['save ""', 'fill ""', "card: Your message is on the board", "read 7"],
  ],
  [
    "by bank: a refund that was read is over",
    [...byBank, heard("refunded"), acted("dismiss")],
    ["keep nothing", "unwatch pay-1", "forget pay-1", "no card"],
  ],
  [
    "by bank: meanwhile another message can be bought, and both are remembered",
    [...byBank, typed("more"), submitted, started("pending", { id: "pay-2", text: "more" })],
    ['save "more" key-1 pay-2', "keep pay-2 opened", "watch pay-2", "remember pay-2 opened", `leave to ${URL}`],
  ],

  [
    "reopened: the tab's own payment goes on, whatever the device has forgotten",
    [opened({ text: "hello", own: stored("returned") })],
    [
      'fill "hello"',
      "keep pay-1 returned",
      "watch pay-1",
      "remember pay-1 returned",
      "disable held",
      "card: Thank you!",
      "poll pay-1 after 0",
    ],
  ],
  [
    "reopened: what was paid in a closed tab is watched, and says nothing before there is news",
    [opened({ kept: [stored("opened")] })],
    ["watch pay-1"],
  ],
  [
    "reopened: then its message is marked",
    [opened({ kept: [stored("opened")] }), heard("fulfilled")],
    ["card: Your message is on the board", "read 7"],
  ],
  [
    "reopened: a bank debit is asked for, and does not hold what else is written",
    [opened({ text: "more", kept: [stored("returned")] })],
    ['fill "more"', "watch pay-1", "poll pay-1 after 0"],
  ],
  [
    "reopened: its card is there",
    [opened({ kept: [stored("returned")] }), heard("processing")],
    ["card: Waiting for your bank"],
  ],
  [
    "reopened: unless it was dismissed",
    [opened({ kept: [stored("returned", { dismissed: "processing" })] }), heard("processing")],
    [],
  ],
  [
    "reopened: a refusal is told, and the text comes back",
    [opened({ kept: [stored("returned", { dismissed: "processing" })] }), heard("failed")],
    ['save "hello"', 'fill "hello"', "card: Your bank refused the payment"],
  ],
  [
    "reopened: a refusal that was read is not told again, and the text does not come back",
    [opened({ kept: [stored("returned", { dismissed: "failed" })] }), heard("failed")],
    [],
  ],
  [
    "reopened: a late refusal does not end the intent of a new payment for the same text",
    [
      opened({ text: "hello", kept: [stored("returned")] }),
      submitted,
      started("pending", { id: "pay-2" }),
      { type: "came back" },
      heard("failed"),
    ],
    ["card: Your bank refused the payment"],
  ],
  [
    "reopened: a checkout that was left and expired is forgotten",
    [opened({ kept: [stored("opened")] }), heard("expired")],
    ["unwatch pay-1", "forget pay-1"],
  ],
  [
    "reopened: an unpaid payment that the server has deleted is forgotten",
    [opened({ kept: [stored("returned")] }), polled(null, true)],
    ["unwatch pay-1", "forget pay-1"],
  ],

  [
    "two tabs: the other one's payment is watched",
    [...writing, { type: "shared", kept: [stored("opened")] }],
    ["watch pay-1"],
  ],
  [
    "two tabs: its message is marked, and nothing is shown",
    [opened({ text: "hello" }), { type: "shared", kept: [stored("opened")] }, heard("fulfilled"), found("shown")],
    ["unwatch pay-1", "forget pay-1", "mark 7"],
  ],
  [
    "two tabs: what it is paying for can't be paid here too, and the card says why",
    [...writing, { type: "shared", kept: [stored("returned")] }, heard("processing")],
    ["disable held", "card: Waiting for your bank"],
  ],
  ["two tabs: a tab's own payment is not another's", [...byBank, { type: "shared", kept: [stored("returned")] }], []],
];

for (const [title, events, expected] of TABLE) test(title, () => assert.deepEqual(done(events), expected));

test("every status has words of its own, for a buyer who comes back and for one who reopens the board days later", () => {
  for (const start of [opened({ text: "hello", back: "returned" }), opened({ kept: [stored("returned")] })]) {
    const titles = STATUSES.map((status) => {
      const { followed } = play([start, heard(status)]).purchase;
      return followed[0] && cardFor(followed[0], 0)?.title;
    });
    assert.equal(new Set(titles).size, STATUSES.length, `${titles}`);
  }
});

/** @param {Event[]} events */
const done = (events) => play(events).effects.map(inShort);

/**
 * The state after the events, and what the last of them causes.
 *
 * @param {Event[]} events
 */
function play(events) {
  /** @type {Purchase} */
  let purchase = { ...noPurchase(), amounts: AMOUNTS };
  /** @type {PurchaseEffect[]} */
  let effects = [];
  for (const { at = purchase.now, ...event } of events) {
    [purchase, effects] = reduce(purchase, /** @type {PurchaseEvent} */ (event), { now: at, chance: 0.5 });
  }
  return { purchase, effects };
}

/** @param {number | null} amount */
const inWords = (amount) => (amount === null ? "" : `for ${amount}`);

/**
 * @param {PurchaseEffect} effect
 * @returns {string}
 */
function inShort(effect) {
  switch (effect.type) {
    case "save": {
      const { text, intent, amount } = effect.draft;
      const paid = intent ? [intent.key, intent.payment ?? "", inWords(intent.amount)] : [];
      return [`save "${text}"`, inWords(amount), ...paid].filter((part) => part !== "").join(" ");
    }
    case "fill":
      return `fill "${effect.draft.text}" ${inWords(effect.draft.amount)}`.trim();
    case "keep":
    case "remember": {
      const { id, stage, dismissed } = effect.stored ?? { id: "nothing", stage: "", dismissed: null };
      return `${effect.type} ${id} ${stage}`.trim() + (dismissed ? `, dismissed while ${dismissed}` : "");
    }
    case "forget":
    case "watch":
    case "unwatch":
      return `${effect.type} ${effect.id}`;
    case "poll":
      return `poll ${effect.id} after ${effect.delayMs}`;
    case "hold":
      return `${effect.on ? "disable" : "enable"} ${effect.reason}`;
    case "card":
      return effect.card ? `card: ${effect.card.title}` : "no card";
    case "pending":
      return effect.pending ? `publishing "${effect.pending.text}"` : "nothing is being published";
    case "configure":
      return "configure";
    case "notice": {
      if (!effect.notice) return "no notice";
      const { text, retry, waitMs } = effect.notice;
      const start = text.split(/[.,;]/)[0];
      return `notice: ${start}${retry ? ", try again" : ""}${waitMs === undefined ? "" : `, ${waitMs} ms`}`;
    }
    case "correct":
      return `correct: ${effect.detail}`;
    case "start":
      return `start ${effect.intent.key} ${inWords(effect.intent.amount)}`.trim();
    case "leave":
      return `leave to ${effect.url}`;
    case "wait":
      return `wait ${effect.waitMs}`;
    case "highlight":
    case "read":
    case "show":
    case "copy":
      return `${effect.type} ${effect.messageId}`;
    case "mark":
      return `mark ${effect.message.id}`;
    case "focus":
      return "focus";
  }
}
