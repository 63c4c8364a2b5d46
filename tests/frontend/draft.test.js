import assert from "node:assert/strict";
import test from "node:test";

import {
  abandonIntent,
  clearPosted,
  content,
  draftFrom,
  intend,
  refill,
  same,
} from "../../frontend/buying/text.js";
import { payment } from "./samples.js";

/** @param {string} text */
const typed = (text, author = "") => ({ ...draftFrom(null), text, author });

/** Keys that count up. */
function keys() {
  let last = 0;
  return () => `key-${(last += 1)}`;
}

test("what is sent is what the server would store: cleaned, with null for a blank name", () => {
  assert.deepEqual(content(typed(" hi \r\n", "  ")), { text: "hi", author: null });
  assert.deepEqual(content(typed("hi", " Ada ")), { text: "hi", author: "Ada" });
});

test("an intent keeps its key over retries, and over edits that change nothing", () => {
  const newKey = keys();
  const first = intend(typed("hello"), newKey);
  assert.equal(intend(first, newKey).intent.key, "key-1");
  assert.equal(intend({ ...first, text: "  hello\n" }, newKey).intent.key, "key-1");
});

test("another text or name is another intent", () => {
  const newKey = keys();
  const first = intend(typed("hello", "Ada"), newKey);
  assert.equal(intend({ ...first, text: "hello!" }, newKey).intent.key, "key-2");
  assert.equal(intend({ ...first, author: "Bob" }, newKey).intent.key, "key-3");
});

test("typing something else and back continues with the same intent", () => {
  const newKey = keys();
  const first = intend(typed("hello"), newKey);
  const changed = { ...first, text: "hello there" };
  assert.equal(intend({ ...changed, text: "hello" }, newKey).intent.key, "key-1");
});

test("after an intent that ended without a post comes a new one; others stay", () => {
  const newKey = keys();
  const first = intend(typed("hello"), newKey);
  assert.equal(intend(abandonIntent(first, payment({ text: "hello" })), newKey).intent.key, "key-2");
  assert.equal(intend(abandonIntent(first, payment({ text: "other" })), newKey).intent.key, "key-1");
});

test("an intent is only ended by its own payment, not by another one for the same text", () => {
  const draft = intend(typed("hello"), keys());
  const later = { ...draft, intent: { ...draft.intent, payment: "pay-2" } };
  assert.equal(abandonIntent(later, payment({ id: "pay-1", text: "hello" })), later);
  assert.equal(abandonIntent(later, payment({ id: "pay-2", text: "hello" })).intent, null);
});

test("posting clears the posted text, keeps the name and drops the intent", () => {
  const draft = intend(typed("hello", "Ada"), keys());
  const after = clearPosted(draft, payment({ text: "hello", author: "Ada" }));
  assert.deepEqual(after, { text: "", author: "Ada", amount: null, intent: null });
});

test("posting leaves another text alone, but the posted intent can't be tried again", () => {
  const draft = { ...intend(typed("hello"), keys()), text: "the next one" };
  const after = clearPosted(draft, payment({ text: "hello" }));
  assert.deepEqual(after, { text: "the next one", author: "", amount: null, intent: null });
});

test("another payment's post does not drop this tab's intent", () => {
  const draft = intend(typed("mine"), keys());
  assert.deepEqual(clearPosted(draft, payment({ text: "other" })), draft);
});

test("an empty draft is filled from the payment that ended without a post, one with a text is not", () => {
  const unposted = payment({ text: "hello", author: "Ada" });
  assert.deepEqual(refill(typed(" ", "Bob"), unposted), { ...typed("hello", "Ada"), amount: 100 });
  assert.deepEqual(refill(typed("", "Bob"), payment({ text: "hello", amount: 500 })), { ...typed("hello", "Bob"), amount: 500 });
  assert.deepEqual(refill(typed("mine"), unposted), typed("mine"));
});

test("a draft belongs to a payment if text and name are the same", () => {
  assert.ok(same(content(typed("hello ", "")), payment({ text: "hello" })));
  assert.ok(!same(content(typed("hello", "Ada")), payment({ text: "hello" })));
  assert.ok(!same(content(typed("hello!")), payment({ text: "hello" })));
});

test("a stored draft comes back complete, and garbage in the store is an empty draft", () => {
  const draft = intend(typed("hello", "Ada"), keys());
  assert.deepEqual(draftFrom(JSON.parse(JSON.stringify(draft))), draft);
  for (const rubbish of [null, undefined, 7, "x", {}, { text: 1, author: "" }, []]) {
    assert.deepEqual(draftFrom(rubbish), { text: "", author: "", amount: null, intent: null });
  }
  assert.equal(draftFrom({ text: "a", author: "", intent: { key: 5 } }).intent, null);
});
