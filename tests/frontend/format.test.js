import assert from "node:assert/strict";
import test from "node:test";

import { exactTime, formatDuration, formatPrice, payLabel, relativeTime, windowTitle } from "../../frontend/ui/format.js";

const NOW = Date.parse("2026-06-15T12:00:00Z");

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
});

test("minor units are Stripe's: none for yen, three decimals for dinar, two for króna", () => {
  assert.equal(formatPrice(100, "jpy"), "¥100");
  assert.equal(formatPrice(1500, "kwd").replace(/\s/u, " "), "KWD 1.500");
  assert.equal(formatPrice(20000, "isk").replace(/\s/u, " "), "ISK 200");
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
