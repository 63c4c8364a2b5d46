/** The purchase: everything about buying in one tab, as a pure reducer. buyer.js performs its effects. */

import { isWebAddress, say } from "../ui/format.js";
import {
  differ,
  drop,
  find,
  follow,
  followStored,
  holding,
  holds,
  isAwaited,
  isForgettable,
  isSpent,
  makeOwn,
  mayBePaid,
  memories,
  onCard,
  own,
  pollDelay,
  publishing,
  stored,
  told,
  update,
} from "./payment.js";
import { abandonIntent, clearPosted, content, draftFrom, intend, refill, same, takeOut } from "./text.js";

/** @typedef {[Purchase, PurchaseEffect[]]} Step the state after an event, and what is to be done */
/** @typedef {PurchaseEvent["type"]} Type */

/** @returns {Purchase} before the page is opened */
export function noPurchase() {
  return { draft: draftFrom(null), amounts: null, sending: null, limited: false, followed: [], now: 0 };
}

/**
 * The state after an event, and what is to be done, in this order: first whatever follows from the change (stored, watched,
 * drawn), so that a key is stored before it is sent; then what the event asks for.
 *
 * @param {Purchase} before
 * @param {PurchaseEvent} event
 * @param {Moment} moment
 * @returns {Step}
 */
export function reduce(before, event, moment) {
  const step = /** @type {(state: Purchase, event: PurchaseEvent, moment: Moment) => Step} */ (STEPS[event.type]);
  const [after, effects] = step({ ...before, now: moment.now }, event, moment);
  return [after, [...changes(before, after).filter((effect) => !isDone(event, effect)), ...effects]];
}

/** @type {{ [T in Type]: (state: Purchase, event: Extract<PurchaseEvent, { type: T }>, moment: Moment) => Step }} */
const STEPS = {
  opened(state, { draft, own: stored, kept, back }) {
    /** @type {Purchase} */
    let next = { ...state, draft, followed: kept.map((one) => ({ ...followStored(one), role: "kept" })) };
    if (stored) next = makeOwn(next, followStored(stored));
    if (back) next = makeOwn(next, follow(back.id, back.stage, state.now));
    const { intent } = draft;
    const intended = intent?.payment === undefined ? undefined : find(next, intent.payment);
    if (intent && intended) next = takeFrom(update(next, intended.id, { content: intent }), intended.id);
    const [settled, effects] = settleAmount(next);
    if (back?.stage === "cancelled") effects.push({ type: "notice", notice: CANCELLED });
    effects.push(...polls(settled, (followed) => followed.role === "own" || mayBePaid(followed)));
    return [settled, effects];
  },

  configured: (state, { amounts }) => settleAmount({ ...state, amounts }),

  typed(state, { text, author, amount }) {
    const next = { ...state, draft: { ...state.draft, text, author, amount } };
    const shown = onCard(next);
    // Whoever writes the next message has seen that the last one was posted.
    return [shown?.card.status === "fulfilled" && text !== "" ? close(next, shown.followed) : next, []];
  },

  submitted(state, { key }) {
    if (state.sending || state.limited || holding(state)) return [state, []];
    const draft = intend(state.draft, () => key);
    return send({ ...state, draft }, draft.intent, false);
  },

  started(state, { payment, key }) {
    const { id, status, checkout_url: url } = payment;
    const { sending, draft } = state;
    if (!sending || sending.leaving) return [state, []];
    if (isSpent(status)) return sendAgain(state, key);
    if (status !== "pending") {
      const [next, effects] = hear(makeOwn({ ...state, sending: null }, follow(id, "returned", state.now)), payment);
      return [next, [...effects, ...polls(next, (followed) => followed.id === id && isAwaited(followed))]];
    }
    if (!url || !isWebAddress(url)) return refuse(state, { kind: "down" });
    const intent = draft.intent?.key === sending.intent.key ? { ...draft.intent, payment: id } : draft.intent;
    const shown = onCard(state)?.followed;
    const read = shown?.payment && isSpent(shown.payment.status) ? close(state, shown) : state;
    const next = makeOwn(read, { ...follow(id, "opened", state.now), payment, content: payment });
    return [
      { ...next, draft: { ...draft, intent }, sending: { ...sending, leaving: true } },
      [{ type: "leave", url }],
    ];
  },

  refused: (state, { refusal }) => (state.sending || refusal.kind === "broken" ? refuse(state, refusal) : [state, []]),
  stayed: (state) => [{ ...state, sending: state.sending?.leaving ? null : state.sending }, []],
  waited: (state) => [{ ...state, limited: false }, []],
  "came back": (state) => [{ ...state, sending: null }, polls(state, ({ role }) => role === "own")],
  woke: (state) => [state, polls(state, isAwaited)],
  ticked: (state) => [state, []],
  heard: (state, { payment }) => hear(state, payment),

  polled(state, { id, payment, missing }, { chance }) {
    const [next, effects] = payment ? hear(state, payment) : [update(state, id, { missing }), []];
    const followed = find(next, id);
    if (!followed) return [next, effects];
    // The server deletes unpaid payments after a week.
    if (isForgettable(followed) || (missing && followed.role !== "own")) return [drop(next, id), effects];
    const delayMs = pollDelay(followed, followed.asked, () => chance);
    if (delayMs === null) return [next, effects];
    return [update(next, id, { asked: followed.asked + 1 }), [...effects, { type: "poll", id, delayMs }]];
  },

  found(state, { id, found }) {
    if (found.kind === "failed") return [update(state, id, { arrival: "none" }), []]; // the feed reports it again later
    /** @type {PurchaseEffect[]} */
    const effects = found.kind === "shown" ? [{ type: "mark", message: found.message }] : [];
    const followed = find(state, id);
    const closed = followed?.role === "other" || followed?.dismissed === followed?.payment?.status;
    if (closed) return [drop(state, id), effects];
    return [update(state, id, { arrival: "done", removed: found.kind !== "shown" }), effects];
  },

  moderated: (state, { messageId }) => [setRemoved(state, messageId, true), []],
  restored: (state, { messageId }) => [setRemoved(state, messageId, false), []],

  acted(state, { action, id }) {
    const followed = id === undefined ? onCard(state)?.followed : find(state, id);
    if (!followed) return [state, []];
    const { payment } = followed;
    switch (action) {
      case "show":
      case "copy":
        return [state, payment && payment.message_id !== null ? [{ type: action, messageId: payment.message_id }] : []];
      case "dismiss":
        return [close(state, followed), []];
      case "rewrite": {
        const next = payment ? putBack(state, payment) : state;
        return [close(next, followed), [{ type: "focus" }]];
      }
    }
  },

  shared(state, { kept }) {
    const others = kept.filter(({ id }) => !find(state, id));
    return [{ ...state, followed: [...state.followed, ...others.map(followOther)] }, []];
  },
};

/**
 * @param {Purchase} state
 * @param {Intent} intent
 * @param {boolean} again
 * @returns {Step}
 */
function send(state, intent, again) {
  const next = { ...state, draft: { ...state.draft, intent }, sending: { intent, again, leaving: false } };
  return [
    next,
    [
      { type: "notice", notice: null },
      { type: "start", intent },
    ],
  ];
}

/**
 * Replaces an intent whose payment has ended without a post, once.
 *
 * @param {Purchase} state
 * @param {string} key
 * @returns {Step}
 */
function sendAgain(state, key) {
  const { sending } = state;
  return !sending || sending.again ? refuse(state, { kind: "unanswered" }) : send(state, { ...sending.intent, key }, true);
}

/**
 * @param {Purchase} state
 * @param {Refusal} refusal
 * @returns {Step}
 */
function refuse(state, refusal) {
  const next = { ...state, sending: null };
  switch (refusal.kind) {
    case "conflict":
      return sendAgain(state, refusal.key);
    case "invalid": {
      const { errors, detail } = refusal;
      if (!errors.some(({ field }) => field === "amount")) return [next, [{ type: "correct", errors, detail }]];
      const draft = { ...next.draft, amount: null };
      return [{ ...next, draft }, [{ type: "notice", notice: OTHER_AMOUNTS }, { type: "configure" }]];
    }
    case "limited": {
      const { waitMs } = refusal;
      const notice = /** @type {NoticeWords} */ ({ text: REFUSALS.limited, tone: "error", waitMs });
      return [
        { ...next, limited: true },
        [
          { type: "notice", notice },
          { type: "wait", waitMs },
        ],
      ];
    }
    default:
      return [next, [{ type: "notice", notice: { text: REFUSALS[refusal.kind], tone: "error", retry: true } }]];
  }
}

/**
 * @param {Purchase} state
 * @param {Payment} payment
 * @returns {Step}
 */
function hear(state, payment) {
  const before = find(state, payment.id);
  const after = before && told(before, payment);
  if (!after || after === before) return [state, []]; // not ours, or late
  const taken = takeFrom(update(state, after.id, after), after.id);
  const next = giveBack(taken, after, payment);
  const wasPending = (before.payment?.status ?? "pending") === "pending";
  const paidAfterAll = after.stage === "cancelled" && wasPending && payment.status !== "pending";
  /** @type {PurchaseEffect[]} */
  const effects = paidAfterAll ? [{ type: "notice", notice: null }] : []; // it says that nothing was charged
  if (isForgettable(after)) return [drop(next, after.id), effects];
  if (payment.status !== "fulfilled" || payment.message_id === null || after.arrival !== "none") return [next, effects];
  const draft = after.role === "other" ? next.draft : clearPosted(next.draft, payment);
  const quiet = after.role !== "own" || after.dismissed !== null;
  effects.push({ type: quiet ? "read" : "highlight", id: after.id, messageId: payment.message_id });
  return [update({ ...next, draft }, after.id, { arrival: "going" }), effects];
}

/**
 * Takes the text of a payment that may be in progress out of the form, where it would look unsent; once only, so that what
 * is typed later stays.
 *
 * @param {Purchase} state
 * @param {string} id
 * @returns {Purchase}
 */
function takeFrom(state, id) {
  const followed = find(state, id);
  if (!followed?.content || followed.role === "other" || followed.takenOut || !mayBePaid(followed)) return state;
  const isIt = same(content(state.draft), followed.content);
  const draft = isIt ? takeOut(state.draft, followed.content) : state.draft;
  return update({ ...state, draft }, id, { takenOut: true });
}

/**
 * @param {Purchase} state
 * @param {Payment} payment whose text is put back into the form, if that is empty
 * @returns {Purchase}
 */
function putBack(state, payment) {
  return settleAmount({ ...state, draft: refill(state.draft, payment) })[0];
}

/**
 * Takes the lowest amount if the one in the draft is no other that is offered, and says so if it is not offered at all.
 *
 * @param {Purchase} state
 * @returns {Step}
 */
function settleAmount(state) {
  const { amounts, draft } = state;
  if (draft.amount === null || !amounts || amounts.slice(1).includes(draft.amount)) return [state, []];
  const isLowest = draft.amount === amounts[0];
  return [{ ...state, draft: { ...draft, amount: null } }, isLowest ? [] : [{ type: "notice", notice: OTHER_AMOUNTS }]];
}

/**
 * After a payment that was cancelled or ended without a post, its text can be sent again as a new payment.
 *
 * @param {Purchase} state
 * @param {Followed} followed
 * @param {Payment} payment
 * @returns {Purchase}
 */
function giveBack(state, followed, payment) {
  const { id, role, stage, refilled } = followed;
  if (role === "other") return state;
  const spent = isSpent(payment.status);
  const next = spent ? { ...state, draft: abandonIntent(state.draft, payment) } : state;
  const cancelled = role === "own" && stage === "cancelled" && (spent || payment.status === "pending");
  const ended = spent && payment.message_id === null && !isForgettable(followed);
  if (refilled || followed.dismissed === payment.status || !(cancelled || ended)) return next;
  return update(putBack(next, payment), id, { refilled: true });
}

/**
 * Closes the card. A payment whose message may still come stays followed. If it is on its way, its text leaves the form,
 * where it would look unsent; it comes back if the payment fails.
 *
 * @param {Purchase} state
 * @param {Followed} followed
 * @returns {Purchase}
 */
function close(state, followed) {
  const { id, payment, missing, arrival } = followed;
  const ended = payment?.status === "refunded" || payment?.status === "disputed";
  if (!payment || missing || ended || arrival === "done") return drop(state, id);
  const paying = mayBePaid(followed) && same(content(state.draft), payment);
  const draft = paying ? takeOut(state.draft, payment) : state.draft;
  return update({ ...state, draft }, id, { dismissed: payment.status });
}

/**
 * @param {Purchase} state
 * @param {number} messageId
 * @param {boolean} removed
 * @returns {Purchase}
 */
function setRemoved(state, messageId, removed) {
  const followed = state.followed.find(({ payment }) => payment?.message_id === messageId);
  return followed ? update(state, followed.id, { removed }) : state;
}

/**
 * @param {Stored} stored by another tab
 * @returns {Followed}
 */
function followOther(stored) {
  return { ...followStored(stored), role: "other" };
}

/**
 * @param {Purchase} state
 * @param {(followed: Followed) => boolean} wanted
 * @returns {PurchaseEffect[]}
 */
function polls({ followed }, wanted) {
  return followed.filter(wanted).map(({ id }) => ({ type: "poll", id, delayMs: 0 }));
}

/**
 * What follows from a change, whatever caused it.
 *
 * @param {Purchase} before
 * @param {Purchase} after
 * @returns {PurchaseEffect[]}
 */
function changes(before, after) {
  /** @type {PurchaseEffect[]} */
  const effects = [];
  const { draft } = after;
  if (differ(draft, before.draft)) effects.push({ type: "save", draft });
  const { text, author, amount } = before.draft;
  if (draft.text !== text || draft.author !== author || draft.amount !== amount) effects.push({ type: "fill", draft });
  const record = stored(own(after));
  if (differ(stored(own(before)), record)) effects.push({ type: "keep", stored: record });
  for (const { id } of before.followed) if (!find(after, id)) effects.push({ type: "unwatch", id });
  for (const { id } of after.followed) if (!find(before, id)) effects.push({ type: "watch", id });
  effects.push(...memories(before, after));
  for (const reason of holds(before)) if (!holds(after).includes(reason)) effects.push({ type: "hold", reason, on: false });
  for (const reason of holds(after)) if (!holds(before).includes(reason)) effects.push({ type: "hold", reason, on: true });
  const card = onCard(after)?.card ?? null;
  if (differ(onCard(before)?.card ?? null, card)) effects.push({ type: "card", card });
  const pending = publishing(after);
  if (differ(publishing(before), pending)) effects.push({ type: "pending", pending });
  return effects;
}

/**
 * Whether the event itself says that it is so already: what was typed is in the form, and what was read is stored.
 *
 * @param {PurchaseEvent} event
 * @param {PurchaseEffect} effect
 */
function isDone(event, effect) {
  if (event.type === "typed") return effect.type === "fill";
  if (event.type !== "opened") return false;
  if (effect.type === "save") return !differ(effect.draft, event.draft);
  return effect.type === "remember" && event.kept.some((one) => !differ(one, effect.stored));
}

/** @type {NoticeWords} */
const CANCELLED = { text: say("Payment cancelled, nothing was charged. Your text is kept."), tone: "info" };

/** @type {NoticeWords} */
const OTHER_AMOUNTS = {
  text: say("The board’s amounts have changed, so the lowest one is chosen now. Nothing was charged."),
  tone: "info",
};

const REFUSALS = {
  limited: say("Too many payments were started from here. You can try again in"),
  down: say("The payment service can’t be reached right now. Nothing was charged; your text is kept."),
  unanswered: say("The board did not respond. Nothing was charged, and it is safe to try again."),
  broken: say("This page ran into an error and couldn’t open checkout. Your text is kept, and trying again won’t charge you twice."),
};
