/** Prices, times and addresses, to and from text. Pure. */

const LANGUAGE = "en"; // the page's own, so that sentences don't mix two languages

// Stripe's minor units, https://docs.stripe.com/currencies: ISK and UGX count as two-decimal there, unlike in ISO 4217.
const ZERO_DECIMAL = new Set("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split(" "));
const THREE_DECIMAL = new Set("bhd jod kwd omr tnd".split(" "));

const RETURN_PARAMETERS = ["payment", "cancelled"]; // what checkout adds to the address

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

// --- addresses -------------------------------------------------------------------------------------------

/**
 * What checkout added to the URL when it sent the buyer back; null if nothing.
 *
 * @param {string} search the query, `?` included
 * @returns {{ id: string, stage: "returned" | "cancelled" } | null}
 */
export function readReturn(search) {
  const parameters = new URLSearchParams(search);
  const paid = parameters.get("payment");
  if (paid) return { id: paid, stage: "returned" };
  const cancelled = parameters.get("cancelled");
  return cancelled ? { id: cancelled, stage: "cancelled" } : null;
}

/**
 * Path, query and hash without checkout's parameters; the rest is unchanged.
 *
 * @param {{ pathname: string, search: string, hash: string }} location
 */
export function withoutReturn({ pathname, search, hash }) {
  const kept = search
    .slice(1)
    .split("&")
    .filter((pair) => !RETURN_PARAMETERS.some((name) => new URLSearchParams(pair).has(name)))
    .join("&");
  return pathname + (kept && `?${kept}`) + hash;
}

/** @param {string} hash such as `#m123` */
export function messageInHash(hash) {
  const match = /^#m([1-9]\d{0,14})$/.exec(hash);
  return match ? Number(match[1]) : null;
}

/**
 * @param {string} href the page's own address
 * @param {number} id of the message to link to
 */
export function permalink(href, id) {
  const url = new URL(href);
  url.hash = `m${id}`;
  return url.origin + withoutReturn(url);
}

/** @param {string} address to send a buyer to */
export function isWebAddress(address) {
  try {
    return ["http:", "https:"].includes(new URL(address).protocol);
  } catch {
    return false;
  }
}
