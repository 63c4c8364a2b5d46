import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import {
  dayName,
  exactTime,
  formatDuration,
  formatPrice,
  isWebAddress,
  linked,
  messageAt,
  payLabel,
  permalink,
  readReturn,
  timeLeft,
  timeOfDay,
  windowTitle,
  withoutReturn,
} from "../../frontend/ui/format.js";

const NOW = Date.parse("2026-06-15T12:00:00Z");

/** @type {{ amount: number, currency: string, text: string }[]} */
const MONEY = JSON.parse(readFileSync(new URL("../support/money_cases.json", import.meta.url), "utf8"));
/** @type {{ seconds: number, text: string }[]} */
const DURATIONS = JSON.parse(readFileSync(new URL("../support/durations.json", import.meta.url), "utf8"));

/** @param {number} seconds */
const ago = (seconds) => new Date(NOW - seconds * 1000).toISOString();

test("whole amounts show no decimals, others show all of the currency's", () => {
  assert.equal(formatPrice(100, "usd"), "$1");
  assert.equal(formatPrice(150, "usd"), "$1.50");
  assert.equal(formatPrice(199, "eur"), "€1.99");
  assert.equal(formatPrice(123456, "gbp"), "£1,234.56");
});

test("a duration has at most two units", () => {
  const words = [30, 60, 300, 3_600, 5_400, 86_400, 604_800, 90_061].map(formatDuration);
  assert.deepEqual(words, ["30 sec", "1 min", "5 min", "1 hr", "1 hr 30 min", "1 day", "7 days", "1 day 1 hr"]);
  assert.deepEqual(
    DURATIONS.map((duration) => ({ ...duration, text: formatDuration(duration.seconds) })),
    DURATIONS,
  );
});

test("minor units are Stripe's: none for yen, three decimals for dinar, two for króna", () => {
  assert.equal(formatPrice(100, "jpy"), "¥100");
  assert.equal(formatPrice(1500, "kwd").replace(/\s/u, " "), "KWD 1.500");
  assert.equal(formatPrice(20000, "isk").replace(/\s/u, " "), "ISK 200");
});

test("amounts are written as in the server's documents", () => {
  assert.deepEqual(
    MONEY.map((money) => ({ ...money, text: formatPrice(money.amount, money.currency) })),
    MONEY,
  );
});

test("the button shows the price, and says so if tax is added", () => {
  const price = { amount: 100, currency: "usd" };
  assert.equal(payLabel(price, null), "Pay $1 and send");
  assert.equal(payLabel(price, "inclusive"), "Pay $1 and send");
  assert.equal(payLabel(price, "exclusive"), "Pay $1 and send + tax");
});

test("days are named by their distance, and then by the date", () => {
  assert.equal(dayName(new Date(NOW).toISOString(), NOW), "Today");
  assert.equal(dayName(ago(86400), NOW), "Yesterday");
  assert.equal(dayName(ago(5 * 86400), NOW), "Wednesday, June 10");
  assert.equal(dayName("2024-02-10T12:00:00Z", NOW), "Saturday, February 10, 2024");
});

test("the time left is rounded up, in minutes, hours or days", () => {
  const left = [1, 60, 61, 119 * 60, 3 * 3600, 3 * 86400].map((seconds) => timeLeft(seconds * 1000));
  assert.deepEqual(left, ["1 min", "1 min", "2 min", "119 min", "3 hr", "3 days"]);
});

test("the time of day is the reader's", () => {
  assert.match(timeOfDay("2026-06-15T12:07:00Z"), /^\d{1,2}:[03]7\s[AP]M$/u);
});

test("the exact time has the day, the year and the second", () => {
  assert.match(exactTime("2026-06-15T12:00:07Z"), /June 1[456], 2026.*:07/);
});

test("the window's title counts unread messages, up to a limit", () => {
  assert.equal(windowTitle("Board", 0), "Board");
  assert.equal(windowTitle("Board", 3), "(3) Board");
  assert.equal(windowTitle("Board", 250), "(99+) Board");
});

test("the paid or cancelled payment is read from the query", () => {
  assert.deepEqual(readReturn("?payment=abc"), { id: "abc", stage: "returned" });
  assert.deepEqual(readReturn("?x=1&cancelled=abc"), { id: "abc", stage: "cancelled" });
  assert.deepEqual(readReturn("?payment=a&cancelled=b"), { id: "a", stage: "returned" });
  for (const search of ["", "?", "?x=1", "?payment=", "?payments=abc"]) assert.equal(readReturn(search), null, search);
});

test("only checkout's own parameters are removed, and the rest is unchanged", () => {
  /** @type {[string, string][]} */
  const cases = [
    ["?payment=abc", "/"],
    ["?payment=abc&theme=a%20b+c", "/?theme=a%20b+c"],
    ["?a=1&cancelled=x&b", "/?a=1&b"],
    ["?a=1&payment=x&payment=y", "/?a=1"],
    ["?p%61yment=x&a=1", "/?a=1"],
    ["?a=payment", "/?a=payment"],
    ["", "/"],
  ];
  for (const [search, expected] of cases) {
    assert.equal(withoutReturn({ pathname: "/", search, hash: "" }), expected);
    assert.equal(withoutReturn({ pathname: "/", search, hash: "#m7" }), `${expected}#m7`);
  }
});

test("a permalink or a hash names a message, and nothing else does", () => {
  assert.equal(messageAt({ pathname: "/m/123", hash: "" }), 123);
  assert.equal(messageAt({ pathname: "/", hash: "#m123" }), 123);
  assert.equal(messageAt({ pathname: permalink(7), hash: "" }), 7);
  assert.equal(messageAt({ pathname: "/m/7", hash: "#m8" }), 8, "the hash is what was followed last");
  const long = "9".repeat(30);
  for (const hash of ["", "#", "#m", "#m0", "#m01", "#m-1", "#m1.5", "#M1", "#m1x", "#message-text", `#m${long}`]) {
    assert.equal(messageAt({ pathname: "/", hash }), null, hash);
  }
  for (const pathname of ["/m/", "/m/0", "/m/1/", "/m/x", "/x/m/1", `/m/${long}`]) {
    assert.equal(messageAt({ pathname, hash: "" }), null, pathname);
  }
});

/** @type {{ text: string, links: string[] }[]} */
const LINKS = JSON.parse(readFileSync(new URL("../support/links.json", import.meta.url), "utf8"));

test("addresses in a text are links that show exactly where they lead, and the text stays as it is", () => {
  for (const { text, links } of LINKS) {
    const parts = linked(text);
    assert.equal(parts.map((part) => part.text).join(""), text);
    assert.deepEqual(parts.flatMap(({ href }) => href ?? []), links, text);
    for (const part of parts) if (part.href) assert.equal(part.href, part.text);
  }
});

test("looking for links takes no longer for hostile texts", () => {
  const before = performance.now();
  for (const piece of ["https://", "https://a.", "https://a.b/(", "https://a.b/)))", "https://-", "a.https://a."]) {
    linked(piece.repeat(2_000 / piece.length));
  }
  assert.ok(performance.now() - before < 500);
});

test("the browser is only sent to web addresses", () => {
  for (const address of ["https://checkout.example/c", "http://localhost:8000/sandbox/pay/x"]) {
    assert.ok(isWebAddress(address));
  }
  for (const address of ["javascript:alert(1)", "data:text/html,x", "/relative", "", "file:///etc"]) {
    assert.ok(!isWebAddress(address), address);
  }
});
