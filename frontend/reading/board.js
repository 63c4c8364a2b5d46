/** The board's state: the messages read so far, the gaps of unread history, and what is pinned. Pure; view.js draws it. */

const MOST_PINS = 20; // as many as the server sends

/** @type {Pins} */
const UNKNOWN_PINS = { messages: [], more: true, cut: 0 };

/** @returns {Board} */
export function emptyBoard() {
  const gaps = [{ from: 1, to: Infinity }];
  return { epoch: null, since: 0, messages: [], gaps, words: new Map(), pins: UNKNOWN_PINS, clock: null };
}

/**
 * The board after one more frame; frames must come in order, which feed.js ensures.
 *
 * @param {Board} board
 * @param {BoardFrame} frame
 * @param {number} [at] when it arrived, by a clock that never jumps, in milliseconds
 * @returns {Board}
 */
export function receive(board, frame, at = 0) {
  switch (frame.type) {
    case "snapshot":
      return fromSnapshot(frame, at);
    case "resumed":
      return { ...board, clock: clockAt(frame.now, at) ?? board.clock };
    case "message.posted":
      return pin({ ...board, messages: upsert(board.messages, frame.message) }, frame.message, at);
    case "message.restored":
      return pin(restore(board, frame.message, frame.seq), frame.message, at);
    case "message.removed":
    case "message.withheld":
      return {
        ...board,
        messages: board.messages.filter(({ id }) => id !== frame.message_id),
        words: new Map(board.words).set(frame.message_id, { seq: frame.seq, message: null }),
        pins: { ...board.pins, messages: board.pins.messages.filter(({ id }) => id !== frame.message_id) },
      };
  }
}

/**
 * The board with a page of history merged in: upserts by id, ordered by id; frames with a seq beyond the page's win.
 * A page from another epoch is ignored, because the feed is about to send a snapshot, and so is one that was read before
 * the snapshot, because a removal in between would be unknown.
 *
 * @param {Board} board
 * @param {Page} page
 * @param {Place} place that the page was requested for
 * @returns {Board}
 */
export function mergePage(board, page, place) {
  if (board.epoch !== null && (board.epoch !== page.epoch || page.seq < board.since)) return board;
  const read = covered(page, place);
  let messages = page.messages.reduce(upsert, board.messages);
  for (const [id, { seq, message }] of board.words) {
    if (seq <= page.seq || id < read.from || id > read.to) continue;
    messages = message ? upsert(messages, message) : messages.filter((other) => other.id !== id);
  }
  return { ...board, epoch: page.epoch, messages, gaps: subtract(board.gaps, read) };
}

/**
 * The board without the messages of a span, so that a page left open for days stays small. They count as unread history
 * again.
 *
 * @param {Board} board
 * @param {Span} span
 * @returns {Board}
 */
export function forget(board, span) {
  const messages = board.messages.filter(({ id }) => id < span.from || id > span.to);
  if (messages.length === board.messages.length) return board;
  const gaps = board.gaps.filter((gap) => gap.from < span.from || gap.to > span.to);
  return { ...board, messages, gaps: [...gaps, span].sort((a, b) => a.from - b.from) };
}

// --- what is pinned -------------------------------------------------------------------------------------

/**
 * The board with the response of `GET /api/pinned` merged in: removed, restored and posted messages with a seq beyond the
 * response's win. One from another epoch, or from before the snapshot, is ignored.
 *
 * @param {Board} board
 * @param {PinnedPage} page
 * @param {number} at when it arrived
 * @returns {Board}
 */
export function mergePinned(board, page, at) {
  if (board.epoch !== page.epoch || page.seq < board.since) return board;
  const { messages, cut } = board.pins;
  const fresh = messages.filter(({ id }) => id > page.seq || (board.words.get(id)?.seq ?? 0) > page.seq);
  const standing = page.messages.filter(({ id }) => (board.words.get(id)?.seq ?? 0) <= page.seq);
  const pins = { messages: standing, more: page.has_more || cut > page.seq, cut };
  /** @type {Board} */
  const merged = { ...board, pins, clock: clockAt(page.now, at) ?? board.clock };
  return fresh.reduce((more, message) => pin(more, message, at), merged);
}

/**
 * The board without the pins that have ended.
 *
 * @param {Board} board
 * @param {number} at
 * @returns {Board}
 */
export function endPins(board, at) {
  const messages = board.pins.messages.filter((message) => pinnedMs(board, message, at) > 0);
  return messages.length === board.pins.messages.length ? board : { ...board, pins: { ...board.pins, messages } };
}

/**
 * How long a message stays pinned; 0 if it is not.
 *
 * @param {Board} board
 * @param {Message} message
 * @param {number} at
 * @returns {number} milliseconds
 */
export function pinnedMs({ clock }, { pinned_until }, at) {
  if (clock === null || !pinned_until) return 0;
  return Math.max(0, Date.parse(pinned_until) - (clock.server + at - clock.at));
}

/**
 * Whether more may be pinned than is known, so that `GET /api/pinned` must say.
 *
 * @param {Board} board
 */
export function lacksPins(board) {
  return isLoaded(board) && board.pins.more && board.pins.messages.length < MOST_PINS;
}

/**
 * The weight of an amount: the place of the highest tier that is not above it, counted from 0. Amounts in another currency
 * can't be compared, so they weigh nothing.
 *
 * @param {{ amount: number, currency: string }} paid
 * @param {BoardInfo["price"] | null} price null before it is known
 */
export function weightOf({ amount, currency }, price) {
  if (price === null || currency !== price.currency) return 0;
  return Math.max(0, price.tiers.filter((tier) => tier.amount <= amount).length - 1);
}

/**
 * @param {Board} board
 * @param {Message} message
 * @param {number} at
 * @returns {Board}
 */
function pin(board, message, at) {
  if (pinnedMs(board, message, at) === 0) return board;
  const others = board.pins.messages.filter(({ id }) => id !== message.id);
  const ranked = [...others, message].sort((a, b) => b.amount - a.amount || b.id - a.id);
  const over = ranked[MOST_PINS];
  if (!over) return { ...board, pins: { ...board.pins, messages: ranked } };
  return { ...board, pins: { messages: ranked.slice(0, MOST_PINS), more: true, cut: Math.max(board.pins.cut, over.id) } };
}

/**
 * @param {string | undefined} now the server's time; a server of an earlier version does not send it
 * @param {number} at when it arrived
 * @returns {Clock | null}
 */
function clockAt(now, at) {
  return now === undefined ? null : { server: Date.parse(now), at };
}

// --- what is drawn --------------------------------------------------------------------------------------

/**
 * @param {Board} board
 * @param {number} id
 */
export function find(board, id) {
  const message = board.messages[position(board.messages, id)];
  return message?.id === id ? message : undefined;
}

/** @param {Board} board */
export function isLoaded(board) {
  return board.epoch !== null;
}

/**
 * Whether there may be messages older than the oldest known.
 *
 * @param {Board} board
 */
export function hasOlder(board) {
  return isLoaded(board) && board.gaps[0]?.from === 1;
}

/**
 * Which messages to draw, as indexes: at the end the newest; else it stays as it is, as long as the reader's place is not
 * near an end of it, so that nothing moves without need.
 *
 * @param {Board} board
 * @param {{ most: number, place: number | null, first: number | null }} drawn `place`: the id of the topmost visible
 *   message, null at the end of the list; `first`: that of the topmost drawn one
 * @returns {{ from: number, to: number }} `to` is exclusive
 */
export function extent({ messages }, { most, place, first }) {
  const last = Math.max(0, messages.length - most); // where the newest begin
  if (place === null) return { from: last, to: messages.length };
  const here = position(messages, place);
  const from = first === null ? last : Math.min(position(messages, first), last);
  const margin = most / 4;
  const near = (from > 0 && here - from < margin) || (from < last && from + most - here < margin);
  const start = near ? Math.min(Math.max(0, Math.floor(here - most / 2)), last) : from;
  return { from: start, to: Math.min(start + most, messages.length) };
}

/**
 * The rows to draw from top to bottom: the messages, a row for each gap between two of them, and one above the first message
 * of each day on the reader's clock.
 *
 * @param {Board} board
 * @param {{ from: number, to: number }} [span] of which messages, as indexes
 * @returns {Row[]}
 */
export function rows(board, { from, to } = { from: 0, to: board.messages.length }) {
  /** @type {Row[]} */
  const drawn = [];
  const gaps = board.gaps.filter((gap) => gap.from > 1);
  let day = "";
  for (const message of board.messages.slice(from, to)) {
    const between = gaps.splice(0, gaps.filter((gap) => gap.from < message.id).length);
    const [first, last] = [between[0], between.at(-1)];
    if (first && last && drawn.length > 0) drawn.push({ kind: "gap", gap: { from: first.from, to: last.to } });
    const posted = new Date(message.posted_at).toDateString();
    if (posted !== day) drawn.push({ kind: "day", day: (day = posted) });
    drawn.push({ kind: "message", message });
  }
  return drawn;
}

// --- merging --------------------------------------------------------------------------------------------

/**
 * @param {SnapshotFrame} frame
 * @param {number} at
 * @returns {Board}
 */
function fromSnapshot({ epoch, seq, messages, has_more, pinned, now }, at) {
  const oldest = messages[0];
  const gaps = has_more && oldest ? [{ from: 1, to: oldest.id - 1 }] : [];
  const pins = pinned ? { messages: pinned, more: pinned.length >= MOST_PINS, cut: 0 } : UNKNOWN_PINS;
  return { epoch, since: seq, messages, gaps, words: new Map(), pins, clock: clockAt(now, at) };
}

/**
 * Puts a message back, unless its id is in a gap: then it is kept in `words`, and shown once the history around it is read.
 *
 * @param {Board} board
 * @param {Message} message
 * @param {number} seq
 * @returns {Board}
 */
function restore(board, message, seq) {
  const words = new Map(board.words).set(message.id, { seq, message });
  const unread = board.gaps.some((gap) => gap.from <= message.id && message.id <= gap.to);
  return { ...board, messages: unread ? board.messages : upsert(board.messages, message), words };
}

/**
 * The ids that a page covers.
 *
 * @param {Page} page
 * @param {Place} place
 * @returns {Span}
 */
function covered({ messages, seq, has_more }, { before = Infinity, after }) {
  const [first, last] = [messages[0], messages.at(-1)];
  if (after !== undefined) return { from: after + 1, to: has_more && last ? last.id : seq };
  return { from: has_more && first ? first.id : 1, to: Math.min(seq, before - 1) };
}

/**
 * @param {readonly Span[]} gaps
 * @param {Span} read
 */
function subtract(gaps, read) {
  if (read.from > read.to) return gaps;
  return gaps
    .flatMap((gap) => [
      { from: gap.from, to: Math.min(gap.to, read.from - 1) },
      { from: Math.max(gap.from, read.to + 1), to: gap.to },
    ])
    .filter((gap) => gap.from <= gap.to);
}

/**
 * @param {readonly Message[]} messages
 * @param {Message} message
 */
function upsert(messages, message) {
  const index = position(messages, message.id);
  const rest = messages[index]?.id === message.id ? index + 1 : index;
  return [...messages.slice(0, index), message, ...messages.slice(rest)];
}

/**
 * The index of the first message whose id is not below `id`.
 *
 * @param {readonly Message[]} messages
 * @param {number} id
 */
function position(messages, id) {
  let index = messages.length;
  while (index > 0 && (messages[index - 1]?.id ?? 0) >= id) index -= 1; // nearly always at the end
  return index;
}
