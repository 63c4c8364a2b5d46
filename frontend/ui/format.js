/** Prices, times, addresses and sentences, to and from text. Pure. */

// The document's language, so that sentences don't mix two. There is no document in tests.
const LANGUAGE = globalThis.document?.documentElement.lang || "en";

// Stripe's minor units, https://docs.stripe.com/currencies: ISK and UGX count as two-decimal there, unlike in ISO 4217.
const ZERO_DECIMAL = new Set("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split(" "));
const THREE_DECIMAL = new Set("bhd jod kwd omr tnd".split(" "));

const RETURN_PARAMETERS = ["payment", "cancelled"]; // what checkout adds to the address

const ADDRESS = /https?:\/\/[^\s\p{Default_Ignorable_Code_Point}<>"\\^`{|}]+/giu;
const PUNCTUATION = ".,:;!?'\")]*_~’”»…。、，！？）」";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

const clock = new Intl.DateTimeFormat(LANGUAGE, { timeStyle: "short" });
const exact = new Intl.DateTimeFormat(LANGUAGE, { dateStyle: "full", timeStyle: "long" });
/** @type {Record<string, string>} */
const words = JSON.parse(globalThis.document?.getElementById("words")?.textContent ?? "{}"); // from English, if it isn't that
const aroundToday = new Intl.RelativeTimeFormat(LANGUAGE, { numeric: "auto" });

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
  const name = code + digits;
  const format = prices.get(name) ?? priceFormat(code, digits);
  prices.set(name, format);
  return format.format(value);
}

/** @type {Map<string, Intl.NumberFormat>} */
const prices = new Map(); // making a format takes 0.1 ms, and each row has a price

/**
 * @param {string} currency
 * @param {number} digits
 */
function priceFormat(currency, digits) {
  const fraction = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return new Intl.NumberFormat(LANGUAGE, { style: "currency", currency, ...fraction });
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
 * A sentence in the document's language, or in English if it has not been translated.
 *
 * @param {string} english with values in braces: `Pay {price} and send`. It is a literal, so that a test finds whatever has
 *   no translation.
 * @param {Record<string, string | number>} [values] by name; braces without a value are left as they are
 */
export function say(english, values = {}) {
  const sentence = (Object.hasOwn(words, english) && words[english]) || english;
  return sentence.replace(/\{(\w+)\}/gu, (braces, name) => String(values[name] ?? braces));
}

/**
 * What the pay button says.
 *
 * @param {{ amount: number, currency: string }} price
 * @param {"exclusive" | "inclusive" | null} taxBehavior exclusive tax is added to the price, so the button says so
 */
export function payLabel(price, taxBehavior) {
  const values = { price: formatPrice(price.amount, price.currency) };
  return taxBehavior === "exclusive" ? say("Pay {price} and send + tax", values) : say("Pay {price} and send", values);
}

/** @param {string} time whose time of day is wanted, on the reader's clock */
export function timeOfDay(time) {
  return clock.format(Date.parse(time));
}

/**
 * A day on the reader's calendar: "Today", "Yesterday" or the date.
 *
 * @param {string} time
 * @param {number} now
 */
export function dayName(time, now) {
  const [then, today] = [new Date(time), new Date(now)];
  const days = Math.round((startOfDay(then) - startOfDay(today)) / DAY_MS);
  const year = then.getFullYear() === today.getFullYear() ? {} : /** @type {const} */ ({ year: "numeric" });
  const format = { weekday: "long", month: "long", day: "numeric", ...year };
  if (days < -1 || days > 0) {
    return new Intl.DateTimeFormat(LANGUAGE, /** @type {Intl.DateTimeFormatOptions} */ (format)).format(then);
  }
  const name = aroundToday.format(days, "day");
  return name.charAt(0).toLocaleUpperCase(LANGUAGE) + name.slice(1);
}

/**
 * @param {number} ms
 * @returns {string} such as "5 min", rounded up
 */
export function timeLeft(ms) {
  if (ms > 2 * DAY_MS) return inUnit(Math.ceil(ms / DAY_MS), "day");
  if (ms > 2 * HOUR_MS) return inUnit(Math.ceil(ms / HOUR_MS), "hour");
  return inUnit(Math.ceil(ms / MINUTE_MS), "minute");
}

/** @param {Date} time */
function startOfDay(time) {
  return new Date(time.getFullYear(), time.getMonth(), time.getDate()).getTime();
}

/**
 * @param {number} value
 * @param {"day" | "hour" | "minute"} unit
 */
function inUnit(value, unit) {
  return new Intl.NumberFormat(LANGUAGE, { style: "unit", unit, unitDisplay: "short" }).format(value);
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

/**
 * The message that an address leads to: `/m/123`, or `#m123` on any page.
 *
 * @param {{ pathname: string, hash: string }} location
 * @returns {number | null}
 */
export function messageAt({ pathname, hash }) {
  const match = /^#m([1-9]\d{0,14})$/.exec(hash) ?? /^\/m\/([1-9]\d{0,14})$/.exec(pathname);
  return match ? Number(match[1]) : null;
}

/** @param {number} id of the message that this path leads to */
export function permalink(id) {
  return `/m/${id}`;
}

/**
 * A text in parts, of which those with an `href` are links: http and https addresses of a named host, without user-info.
 * The parts together are the text, and the words of a link are exactly its address. tests/support/links.json has the cases.
 *
 * @param {string} text
 * @returns {{ text: string, href?: string }[]}
 */
export function linked(text) {
  /** @type {{ text: string, href?: string }[]} */
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(ADDRESS)) {
    const address = withoutPunctuation(match[0]);
    if (/[\p{L}\p{N}_]$/u.test(text.slice(0, match.index)) || !isLinkable(address)) continue;
    if (match.index > end) parts.push({ text: text.slice(end, match.index) });
    parts.push({ text: address, href: address });
    end = match.index + address.length;
  }
  if (end < text.length) parts.push({ text: text.slice(end) });
  return parts;
}

/** @param {string} address */
function isLinkable(address) {
  const host = /^https?:\/\/([a-z\d.-]+)(:\d{1,5})?(?:[/?#]|$)/i.exec(address)?.[1];
  const labels = host?.split(".") ?? [];
  return labels.length > 1 && labels.every((label) => /^[a-z\d]/i.test(label) && /[a-z\d]$/i.test(label)) && isWebAddress(address);
}

/**
 * The address without the punctuation of the sentence around it. A closing bracket stays if it was opened in the address.
 *
 * @param {string} address
 */
function withoutPunctuation(address) {
  let end = address.length;
  for (; end > 0 && PUNCTUATION.includes(address.charAt(end - 1)); end -= 1) {
    const closed = address.slice(0, end);
    if (closed.endsWith(")") && closed.split("(").length >= closed.split(")").length) break;
  }
  return address.slice(0, end);
}

/** @param {string} address to send a buyer to */
export function isWebAddress(address) {
  try {
    return ["http:", "https:"].includes(new URL(address).protocol);
  } catch {
    return false;
  }
}
