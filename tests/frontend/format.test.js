import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import {
  exactTime,
  formatPrice,
  isWebAddress,
  messageInHash,
  payLabel,
  permalink,
  readReturn,
  relativeTime,
  windowTitle,
  withoutReturn,
} from "../../frontend/ui/format.js";

const NOW = Date.parse("2026-06-15T12:00:00Z");

/** @type {{ amount: number, currency: string, text: string }[]} */
const MONEY = JSON.parse(readFileSync(new URL("../support/money_cases.json", import.meta.url), "utf8"));

/** @param {number} seconds */
const ago = (seconds) => new Date(NOW - seconds * 1000).toISOString();

test("whole amounts show no decimals, others show all of the currency's", () => {
  assert.equal(formatPrice(100, "usd"), "$1");
  assert.equal(formatPrice(150, "usd"), "$1.50");
  assert.equal(formatPrice(199, "eur"), "€1.99");
  assert.equal(formatPrice(123456, "gbp"), "£1,234.56");
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

test("the relative time goes from just now to minutes, hours, days and a date", () => {
  assert.equal(relativeTime(ago(59), NOW), "just now");
  assert.equal(relativeTime(ago(-30), NOW), "just now");
  assert.equal(relativeTime(ago(60), NOW), "1 min. ago");
  assert.equal(relativeTime(ago(3 * 3600), NOW), "3 hr. ago");
  assert.equal(relativeTime(ago(2 * 86400), NOW), "2 days ago");
  assert.equal(relativeTime(ago(10 * 86400), NOW), "Jun 5");
  assert.equal(relativeTime("2024-02-10T12:00:00Z", NOW), "Feb 10, 2024");
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

test("a permalink's hash names a message, and nothing else does", () => {
  assert.equal(messageInHash("#m123"), 123);
  for (const hash of ["", "#", "#m", "#m0", "#m01", "#m-1", "#m1.5", "#M1", "#m1x", "#message-text", `#m${"9".repeat(30)}`]) {
    assert.equal(messageInHash(hash), null, hash);
  }
});

test("a permalink keeps the page's URL without checkout's parameters", () => {
  assert.equal(permalink("https://b.example/chat?x=1&payment=p#m1", 42), "https://b.example/chat?x=1#m42");
  assert.equal(permalink("https://b.example/", 42), "https://b.example/#m42");
});

test("the browser is only sent to web addresses", () => {
  for (const address of ["https://checkout.example/c", "http://localhost:8000/sandbox/pay/x"]) {
    assert.ok(isWebAddress(address));
  }
  for (const address of ["javascript:alert(1)", "data:text/html,x", "/relative", "", "file:///etc"]) {
    assert.ok(!isWebAddress(address), address);
  }
});
