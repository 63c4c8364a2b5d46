/** The rules for what may be posted, the same as the server's, which stays the judge. */

const LINE_BREAK = /[\n\u2028\u2029]/u;
const OUTER_SPACE = /^[\n\p{Z}]+|(?<![\n\p{Z}])[\n\p{Z}]+$/gu; // unlike trim(): no controls, no U+FEFF; and in linear time
const CONTROL = /[^\P{Cc}\n]/u;
const LONE_SURROGATE = /\p{Cs}/u;
const DIRECTION_OVERRIDE = /[\u202A-\u202E\u2066-\u2069]/u;
const BLANK_LETTER = /[\u115F\u1160\u3164\uFFA0\u2800]/gu; // letters and symbols by category, blank to the eye
const VISIBLE = /[\p{L}\p{N}\p{P}\p{S}\p{Co}]/u;
const STACKED_MARKS = /\p{M}(?:\p{Cf}*\p{M}){4}/u;

export const MAX_LINES = 20;

/**
 * The text as the server would store it: CRLF to LF, trimmed of Unicode white space, NFC.
 *
 * @param {string} text
 */
export function clean(text) {
  return text.replaceAll("\r\n", "\n").replace(OUTER_SPACE, "").normalize("NFC");
}

/** @param {string} text whose code points are counted as the server does */
export function countCodePoints(text) {
  return Array.from(clean(text)).length;
}

/**
 * The beginning of the cleaned text, cut between graphemes so that no emoji or accent is torn apart.
 *
 * @param {string} text
 * @param {number} max code points
 */
export function clip(text, max) {
  const segments = new Intl.Segmenter("en", { granularity: "grapheme" }).segment(clean(text));
  let kept = "";
  let count = 0;
  for (const { segment } of segments) {
    count += Array.from(segment).length;
    if (count > max) break;
    kept += segment;
  }
  return kept;
}

/**
 * Why a message would be refused, in words for the writer; null when it is fine.
 *
 * @param {string} text as typed
 * @param {number} max code points
 */
export function textProblem(text, max) {
  if (clean(text) === "") return "Write a message first.";
  const lines = clean(text).split(LINE_BREAK).length;
  if (lines > MAX_LINES) return `That is ${lines} lines; up to ${MAX_LINES} fit.`;
  return sharedProblem(text, max);
}

/**
 * The same for a display name; a blank one is fine and means anonymous.
 *
 * @param {string} author
 * @param {number} max
 */
export function authorProblem(author, max) {
  if (clean(author) === "") return null;
  if (LINE_BREAK.test(clean(author))) return "A name is one line.";
  return sharedProblem(author, max);
}

/**
 * @param {string} text
 * @param {number} max
 */
function sharedProblem(text, max) {
  const over = countCodePoints(text) - max;
  if (over > 0) return `Too long by ${over} ${over === 1 ? "character" : "characters"}.`;
  if (text.includes("\t")) return "Tabs can’t be posted; use spaces.";
  if (CONTROL.test(text.replaceAll("\r\n", "\n"))) return "There is an invisible control character in it.";
  if (LONE_SURROGATE.test(text)) return "There is a broken character in it.";
  if (DIRECTION_OVERRIDE.test(text)) return "Characters that override the text direction can’t be posted.";
  if (!VISIBLE.test(clean(text).replace(BLANK_LETTER, ""))) return "There is nothing to see in it yet.";
  if (STACKED_MARKS.test(clean(text))) return "Too many accents are stacked on one letter.";
  return null;
}
