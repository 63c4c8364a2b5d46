/**
 * What is being written: the rules for what may be posted, the same as the server's, which has the final say; then the draft,
 * and the intent to pay for it. Pure. Both sides read one generated table of characters. Only NFC is the browser's own; it
 * leaves characters that it doesn't know unchanged.
 */

import { say } from "../ui/format.js";
import * as unicode from "./unicode.js";

const LINE_BREAK = /[\n\u2028\u2029]/u;
const OUTER_SPACE = /[\n\p{Z}]/u; // unlike trim(): no controls, no U+FEFF
const TAG_SEQUENCE = /\u{1F3F4}[\u{E0030}-\u{E0039}\u{E0061}-\u{E007A}]{3,7}\u{E007F}/gu;
const TAG_BASE = "\u{1F3F4}";
const DIRECTION_MARK = /[\u200E\u200F\u061C]/u;
const ZWNJ = "\u200C";
const ZWJ = "\u200D";
// An approximation for browsers without Intl.Segmenter: flags, emoji with modifiers and joiners, marks on any base.
const GRAPHEME =
  /(?:\p{RI}{2}|[^])(?:[\p{M}\p{EMod}\u200C\u1160-\u11FF\u{E0020}-\u{E007F}]|\u200D\p{ExtPict}?)*/gu;

export const MAX_LINES = 20;
export const MAX_RAW_TEXT_LENGTH = 2_000; // code points as typed; bounds all the work that follows
const MAX_RAW_AUTHOR_LENGTH = 200;
const MAX_STACKED_MARKS = 5; // on one base, after NFC
const MAX_REPEATED_MARKS = 2; // the same one in a row
const MAX_IGNORABLE = 8; // default-ignorable characters in a row
const MAX_RAW_MARKS = 4 * (MAX_STACKED_MARKS + 1) + 3; // of more, NFC leaves more than MAX_STACKED_MARKS

const CONTROL = classOf(unicode.CONTROLS);
const NOT_TEXT = classOf(unicode.NOT_TEXT);
const DIRECTION_CONTROL = classOf(unicode.DIRECTION_CONTROLS);
const ANNOTATION = classOf(unicode.ANNOTATIONS);
const TAG = classOf(unicode.TAGS);
const DEFAULT_IGNORABLE = classOf(unicode.DEFAULT_IGNORABLE);
const VARIATION_SELECTOR = classOf(unicode.VARIATION_SELECTORS);
const STACKING_MARK = classOf(unicode.STACKING_MARKS);
const BETWEEN_MARKS = classOf(unicode.BETWEEN_MARKS);
const VISIBLE = classOf(unicode.INVISIBLE, "^");
const MARK = classOf(unicode.MARKS);
const RIGHT_TO_LEFT_LETTER = classOf(unicode.RIGHT_TO_LEFT_LETTERS);
const JOINED_LETTER = classOf(unicode.JOINED_LETTERS);
const JOINED_SYMBOL = classOf(unicode.JOINED_SYMBOLS);

/**
 * @param {string} ranges of the generated table
 * @param {string} [not] "^" to match all other characters
 */
function classOf(ranges, not = "") {
  return new RegExp(`[${not}${ranges.trim().replace(/[0-9a-f]+/gu, "\\u{$&}").replace(/\s+/gu, "")}]`, "u");
}

/**
 * The text as the server would store it: CRLF to LF, trimmed of Unicode white space, NFC. A text that is too long even as
 * typed is returned unchanged, to save the cost of NFC.
 *
 * @param {string} text
 */
export function clean(text) {
  if (isLongerThan(text, MAX_RAW_TEXT_LENGTH)) return text;
  const trimmed = trim(text.replaceAll("\r\n", "\n"));
  return longestRun(trimmed, STACKING_MARK) > MAX_RAW_MARKS ? trimmed : trimmed.normalize("NFC");
}

/** @param {string} text */
function trim(text) {
  let start = 0;
  let end = text.length;
  while (start < end && OUTER_SPACE.test(text.charAt(start))) start += 1;
  while (end > start && OUTER_SPACE.test(text.charAt(end - 1))) end -= 1;
  return text.slice(start, end);
}

/**
 * @param {string} text
 * @param {number} max code points, each of which is one or two UTF-16 units
 */
function isLongerThan(text, max) {
  return text.length > max && (text.length > 2 * max || Array.from(text).length > max);
}

/** @param {string} text whose code points are counted as the server counts them */
export function countCodePoints(text) {
  return Array.from(clean(text)).length;
}

/**
 * The beginning of the cleaned text, cut between graphemes so that no emoji or accent is split.
 *
 * @param {string} text
 * @param {number} max code points
 */
export function clip(text, max) {
  let kept = "";
  let count = 0;
  for (const grapheme of graphemes(clean(text))) {
    count += Array.from(grapheme).length;
    if (count > max) break;
    kept += grapheme;
  }
  return kept;
}

/** @param {string} text */
function graphemes(text) {
  const { Segmenter } = /** @type {{ Segmenter?: SegmenterClass }} */ (Intl); // Firefox has it since version 125
  if (!Segmenter) return text.match(GRAPHEME) ?? [];
  return Array.from(new Segmenter("en", { granularity: "grapheme" }).segment(text), ({ segment }) => segment);
}

/**
 * Why a message would be refused, as a sentence for the writer; null if it is fine.
 *
 * @param {string} text as typed
 * @param {number} max code points
 */
export function textProblem(text, max) {
  if (isLongerThan(text, MAX_RAW_TEXT_LENGTH)) return tooLong(MESSAGE, countCodePoints(text) - max);
  if (clean(text) === "") return say("Write a message first.");
  const lines = clean(text).split(LINE_BREAK).length;
  if (lines > MAX_LINES) return say("That is {lines} lines; at most {most} are allowed.", { lines, most: MAX_LINES });
  return sharedProblem(MESSAGE, text, max);
}

/**
 * The same for a display name; a blank one is fine and means anonymous.
 *
 * @param {string} author
 * @param {number} max
 */
export function authorProblem(author, max) {
  if (isLongerThan(author, MAX_RAW_AUTHOR_LENGTH)) return say("The name is much too long.");
  if (clean(author) === "") return null;
  if (LINE_BREAK.test(clean(author))) return say("A name must be on one line.");
  const hidden = () => (hasHidden(clean(author)) ? say("There is an invisible character in the name.") : null);
  return sharedProblem(NAME, author, max) ?? hidden();
}

/** @typedef {{ one: string, more: string, control: string, broken: string, blank: string, tag: string }} Complaints */

/** @type {Complaints} */
const MESSAGE = {
  one: say("The message is too long by 1 character."),
  more: say("The message is too long by {count} characters."),
  control: say("There is an invisible control character in the message."),
  broken: say("There is a broken character in the message."),
  blank: say("The message has no visible characters yet."),
  tag: say("There is an invisible tag character in the message."),
};

/** @type {Complaints} */
const NAME = {
  one: say("The name is too long by 1 character."),
  more: say("The name is too long by {count} characters."),
  control: say("There is an invisible control character in the name."),
  broken: say("There is a broken character in the name."),
  blank: say("The name has no visible characters yet."),
  tag: say("There is an invisible tag character in the name."),
};

/**
 * @param {Complaints} complaints
 * @param {number} over code points
 */
function tooLong({ one, more }, over) {
  return over === 1 ? one : more.replace("{count}", String(over));
}

/**
 * @param {Complaints} complaints
 * @param {string} raw
 * @param {number} max
 */
function sharedProblem(complaints, raw, max) {
  const text = clean(raw);
  const over = countCodePoints(raw) - max;
  if (over > 0) return tooLong(complaints, over);
  if (raw.includes("\t")) return say("Tabs can’t be posted; use spaces.");
  if (CONTROL.test(raw.replaceAll("\r\n", "\n"))) return complaints.control;
  if (NOT_TEXT.test(raw)) return complaints.broken;
  if (DIRECTION_CONTROL.test(raw)) return say("Characters that override the text direction can’t be posted.");
  if (ANNOTATION.test(raw)) return say("Annotation characters can’t be posted.");
  if (!VISIBLE.test(text)) return complaints.blank;
  if (hasTooManyMarks(text)) return say("Too many accents are stacked on one letter.");
  const untagged = text.replace(TAG_SEQUENCE, TAG_BASE);
  if (TAG.test(untagged)) return complaints.tag;
  if (longestRun(untagged, VARIATION_SELECTOR) > 1) return say("There are several variation selectors in a row.");
  if (longestRun(untagged, DEFAULT_IGNORABLE) > MAX_IGNORABLE) return say("There are too many invisible characters in a row.");
  return null;
}

/**
 * @param {string} text
 * @param {RegExp} character
 */
function longestRun(text, character) {
  let longest = 0;
  let run = 0;
  for (const each of text) {
    run = character.test(each) ? run + 1 : 0;
    longest = Math.max(longest, run);
  }
  return longest;
}

/** @param {string} text in NFC */
function hasTooManyMarks(text) {
  let stacked = 0;
  let repeated = 0;
  let last = "";
  for (const character of text) {
    if (STACKING_MARK.test(character)) {
      stacked += 1;
      repeated = character === last ? repeated + 1 : 1;
      last = character;
      if (stacked > MAX_STACKED_MARKS || repeated > MAX_REPEATED_MARKS) return true;
    } else if (!BETWEEN_MARKS.test(character)) {
      stacked = 0;
      last = "";
    }
  }
  return false;
}

/**
 * Whether a name has default-ignorable characters that its script or its emoji don't need.
 *
 * @param {string} author
 */
function hasHidden(author) {
  const characters = Array.from(author);
  let beforeMarks = ""; // the last character that is not a mark
  return characters.some((character, index) => {
    const base = beforeMarks;
    if (!MARK.test(character)) beforeMarks = character;
    if (!DEFAULT_IGNORABLE.test(character) || VARIATION_SELECTOR.test(character)) return false;
    const previous = characters[index - 1] ?? "";
    const next = characters[index + 1] ?? "";
    if (DIRECTION_MARK.test(character)) return !RIGHT_TO_LEFT_LETTER.test(base) && !RIGHT_TO_LEFT_LETTER.test(next);
    const isJoiner = character === ZWNJ || character === ZWJ;
    if (isJoiner && JOINED_LETTER.test(previous) && JOINED_LETTER.test(next)) return false;
    return !(character === ZWJ && JOINED_SYMBOL.test(previous) && JOINED_SYMBOL.test(next));
  });
}

/**
 * The draft that this tab stored; an empty one if there is none, or something else is stored.
 *
 * @param {any} stored
 * @returns {Draft}
 */
export function draftFrom(stored) {
  if (typeof stored?.text !== "string" || typeof stored.author !== "string") {
    return { text: "", author: "", amount: null, intent: null };
  }
  const { text, author, intent } = stored;
  const kept = typeof intent?.key === "string" ? { ...intent, amount: amountFrom(intent) } : null;
  return { text, author, amount: amountFrom(stored), intent: kept };
}

/** @param {{ amount?: unknown }} stored */
function amountFrom({ amount }) {
  return typeof amount === "number" ? amount : null;
}

/**
 * What is sent for a draft.
 *
 * @param {Draft} draft
 * @returns {Content}
 */
export function content(draft) {
  return { text: clean(draft.text), author: clean(draft.author) || null };
}

/**
 * The draft with an intent to pay this amount for exactly its content: the one it has, or a new one.
 *
 * @param {Draft} draft
 * @param {() => string} newKey
 * @returns {Draft & { intent: Intent }}
 */
export function intend(draft, newKey) {
  const wanted = { ...content(draft), amount: draft.amount };
  const { intent } = draft;
  const isKnown = intent && same(intent, wanted) && intent.amount === wanted.amount;
  return { ...draft, intent: isKnown ? intent : { key: newKey(), ...wanted } };
}

/**
 * The draft after an intent ended without a post: paying for the same content again needs a new intent. An intent for
 * another amount, or known to belong to another payment for the same content, stays.
 *
 * @param {Draft} draft
 * @param {Payment} ended
 * @returns {Draft}
 */
export function abandonIntent(draft, ended) {
  const { intent } = draft;
  if (!intent || !same(intent, ended) || (intent.amount ?? ended.amount) !== ended.amount) return draft;
  return intent.payment === undefined || intent.payment === ended.id ? { ...draft, intent: null } : draft;
}

/**
 * The draft after a payment's message was posted: its text is taken out, and the intent is dropped.
 *
 * @param {Draft} draft
 * @param {Payment} payment
 * @returns {Draft}
 */
export function clearPosted(draft, payment) {
  return takeOut(abandonIntent(draft, payment), payment);
}

/**
 * The draft without the text that is being posted, if it still holds that text. The name is kept for the next one; the
 * amount is not, so that nobody pays more for the next one unasked.
 *
 * @param {Draft} draft
 * @param {Pick<Content, "text">} posted
 * @returns {Draft}
 */
export function takeOut(draft, posted) {
  return clean(draft.text) === posted.text ? { ...draft, text: "", amount: null } : draft;
}

/**
 * The draft, filled from a payment that ended without a post if this tab has no text of its own (for example because the
 * buyer came back in another tab).
 *
 * @param {Draft} draft
 * @param {Payment} payment
 * @returns {Draft}
 */
export function refill(draft, payment) {
  if (clean(draft.text) !== "") return draft;
  return { ...draft, text: payment.text, author: payment.author ?? draft.author, amount: payment.amount };
}

/**
 * @param {Content} a
 * @param {Content} b
 */
export function same(a, b) {
  return a.text === b.text && a.author === b.author;
}
