import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

/** @param {string} path of a JSON file */
const read = (path) => JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8"));

const TABLE = read("../../src/paidchat/pages/words/de.json");
/** @type {{ amount: number, currency: string, german: string }[]} */
const MONEY = read("../support/money_cases.json");
/** @type {{ seconds: number, german: string }[]} */
const DURATIONS = read("../support/durations.json");

// As the server writes them into a German document; the modules read them when they are loaded.
Object.assign(globalThis, {
  document: { documentElement: { lang: "de" }, getElementById: () => ({ textContent: JSON.stringify(TABLE) }) },
});
const { dayName, formatDuration, formatPrice, payLabel, say } = await import("../../frontend/ui/format.js");
const { cardFor, follow } = await import("../../frontend/buying/payment.js");
const { textProblem } = await import("../../frontend/buying/text.js");

test("sentences are the table's, with their values", () => {
  assert.equal(payLabel({ amount: 150, currency: "usd" }, "exclusive"), "1,50\u00a0$ zahlen und senden + Steuer");
  assert.equal(textProblem("a".repeat(503), 500), "Die Nachricht ist um 3 Zeichen zu lang.");
  assert.equal(textProblem("", 500), "Schreib zuerst eine Nachricht.");
  const content = { text: "{count} & $&", author: null };
  const card = cardFor({ ...follow("pay-1", "returned", 0), content }, 0);
  assert.equal(card?.title, "Danke!");
  assert.match(String(card?.text), /^Deine Zahlung wird gerade bestätigt\. „\u2068\{count\} & \$&\u2069“ steht dann/u);
});

test("a sentence without a translation stays English, and nothing else is taken for one", () => {
  assert.equal(say("Not in the table: {what}", { what: 7 }), "Not in the table: 7");
  assert.equal(say("constructor"), "constructor");
});

test("amounts are written as in the server's German documents", () => {
  assert.deepEqual(
    MONEY.map((money) => ({ ...money, german: formatPrice(money.amount, money.currency) })),
    MONEY,
  );
});

test("times are German", () => {
  const now = Date.parse("2026-06-15T12:00:00Z");
  assert.equal(dayName("2026-06-14T12:00:00Z", now), "Gestern");
  assert.deepEqual(
    DURATIONS.map((duration) => ({ ...duration, german: formatDuration(duration.seconds) })),
    DURATIONS,
  );
});
