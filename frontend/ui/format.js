/** Formats prices and times in the page's language. */

const LANGUAGE = "en"; // the page's own, so that sentences don't mix two languages

// Stripe's minor units, https://docs.stripe.com/currencies: ISK and UGX count as two-decimal there, unlike in ISO 4217.
const ZERO_DECIMAL = new Set("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split(" "));
const THREE_DECIMAL = new Set("bhd jod kwd omr tnd".split(" "));

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

const relative = new Intl.RelativeTimeFormat(LANGUAGE, { numeric: "always", style: "short" });
const sameYear = new Intl.DateTimeFormat(LANGUAGE, { day: "numeric", month: "short" });
const otherYear = new Intl.DateTimeFormat(LANGUAGE, { day: "numeric", month: "short", year: "numeric" });
const exact = new Intl.DateTimeFormat(LANGUAGE, { dateStyle: "full", timeStyle: "long" });

/**
 * @param {number} amount in Stripe's minor units
 * @param {string} currency
 * @returns {string} such as "$1", "$1.50" or "¥100"
 */
export function formatPrice(amount, currency) {
  const code = currency.toLowerCase();
  const decimals = ZERO_DECIMAL.has(code) ? 0 : THREE_DECIMAL.has(code) ? 3 : 2;
  const value = amount / 10 ** decimals;
  const digits = Number.isInteger(value) ? 0 : decimals;
  return new Intl.NumberFormat(LANGUAGE, {
    style: "currency",
    currency,
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  }).format(value);
}

/**
 * @param {number} seconds
 * @returns {string} in at most two units, such as "5 min" or "1 hr 30 min"
 */
export function formatDuration(seconds) {
  const parts = [];
  let rest = seconds;
  for (const [unit, length] of /** @type {const} */ ([["day", 86_400], ["hour", 3_600], ["minute", 60], ["second", 1]])) {
    const count = Math.floor(rest / length);
    rest -= count * length;
    const format = new Intl.NumberFormat(LANGUAGE, { style: "unit", unit, unitDisplay: "short" });
    if (count > 0) parts.push(format.format(count));
  }
  return parts.slice(0, 2).join(" ");
}

/**
 * What the pay button says.
 *
 * @param {{ amount: number, currency: string }} price
 * @param {"exclusive" | "inclusive" | null} taxBehavior exclusive tax is added to the price, so the button says so
 */
export function payLabel(price, taxBehavior) {
  const label = `Pay ${formatPrice(price.amount, price.currency)} and send`;
  return taxBehavior === "exclusive" ? `${label} + tax` : label;
}

/**
 * How long ago, in short form; the date if it is a week old or more.
 *
 * @param {string} time
 * @param {number} now
 */
export function relativeTime(time, now) {
  const then = Date.parse(time);
  const age = now - then;
  if (age < MINUTE_MS) return "just now"; // also if this device's clock is slow
  if (age < HOUR_MS) return relative.format(-Math.floor(age / MINUTE_MS), "minute");
  if (age < DAY_MS) return relative.format(-Math.floor(age / HOUR_MS), "hour");
  if (age < 7 * DAY_MS) return relative.format(-Math.floor(age / DAY_MS), "day");
  const format = new Date(then).getFullYear() === new Date(now).getFullYear() ? sameYear : otherYear;
  return format.format(then);
}

/** @param {string} time to format in full, in the reader's time zone */
export function exactTime(time) {
  return exact.format(Date.parse(time));
}

/**
 * @param {string} title
 * @param {number} unread
 */
export function windowTitle(title, unread) {
  return unread > 0 ? `(${unread > 99 ? "99+" : unread}) ${title}` : title;
}
