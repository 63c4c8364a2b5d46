/** The board's state: the messages known so far, and the stretches of history not read yet. Pure; the view draws it. */

/** @import { BoardFrame, Message, Page, SnapshotFrame } from "./types" */

/**
 * A stretch of ids, both ends included.
 *
 * @typedef {object} Span
 * @property {number} from
 * @property {number} to `Infinity`: up to whatever is newest
 */

/**
 * What the socket last said about a message that was removed or put back, and when; a page read earlier must not undo it.
 *
 * @typedef {object} Word
 * @property {number} seq
 * @property {Message | null} message null: removed
 */

/**
 * @typedef {object} Board
 * @property {string | null} epoch null before anything was read
 * @property {number} since the snapshot's seq: what the socket said before it is unknown
 * @property {readonly Message[]} messages ascending by id
 * @property {readonly Span[]} gaps unread stretches of history, ascending
 * @property {ReadonlyMap<number, Word>} words by message id
 */

/**
 * Where a page of history was read: before an id, after one, or with neither the newest.
 *
 * @typedef {{ before?: number, after?: number }} Place
 */

/** @typedef {{ kind: "message", message: Message } | { kind: "gap", gap: Span }} Row */

/** @returns {Board} */
export function emptyBoard() {
  return { epoch: null, since: 0, messages: [], gaps: [{ from: 1, to: Infinity }], words: new Map() };
}

/**
 * The board after one more frame; frames must come in order (see cursor.js).
 *
 * @param {Board} board
 * @param {BoardFrame} frame
 * @returns {Board}
 */
export function receive(board, frame) {
  switch (frame.type) {
    case "snapshot":
      return fromSnapshot(frame);
    case "message.posted":
      return { ...board, messages: upsert(board.messages, frame.message) };
    case "message.restored":
      return restore(board, frame.message, frame.seq);
    case "message.removed":
    case "message.withheld":
      return remove(board, frame.message_id, frame.seq);
  }
}

/**
 * The board with a page of history merged in: upserts by id, order by id, and what the socket said after the page was
 * read wins. Nothing changes by a page from another epoch (the feed is about to bring a snapshot of it), or by one read
 * before the snapshot (a removal in between was never heard of).
 *
 * @param {Board} board
 * @param {Page} page
 * @param {Place} place where the page was read
 * @returns {Board}
 */
export function mergePage(board, page, place) {
  if (board.epoch !== null && (board.epoch !== page.epoch || page.seq < board.since)) return board;
  const read = covered(page, place);
  let { messages } = board;
  for (const message of page.messages) messages = upsert(messages, message);
  for (const [id, word] of board.words) {
    if (word.seq <= page.seq || id < read.from || id > read.to) continue;
    messages = word.message ? upsert(messages, word.message) : without(messages, id);
  }
  return { ...board, epoch: page.epoch, messages, gaps: subtract(board.gaps, read) };
}

/**
 * The board with only its newest messages, so that a page left open for days stays light. The rest counts as unread
 * history again.
 *
 * @param {Board} board
 * @param {number} keep how many messages to keep
 * @returns {Board}
 */
export function trim(board, keep) {
  const first = board.messages.at(-keep);
  if (!first || board.messages[0] === first) return board;
  const gaps = board.gaps.filter((gap) => gap.from >= first.id);
  return { ...board, messages: board.messages.slice(-keep), gaps: [{ from: 1, to: first.id - 1 }, ...gaps] };
}

/**
 * @param {Board} board
 * @param {number} id
 * @returns {Message | undefined}
 */
export function find(board, id) {
  const index = position(board.messages, id);
  const message = board.messages[index];
  return message?.id === id ? message : undefined;
}

/**
 * Whether anything has been read at all; until then the page is loading.
 *
 * @param {Board} board
 */
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
 * What to draw from top to bottom: the messages, and a gap row wherever history between two of them is unread. What is
 * unread before the first and after the last is not a row.
 *
 * @param {Board} board
 * @returns {Row[]}
 */
export function rows(board) {
  /** @type {Row[]} */
  const drawn = [];
  const gaps = board.gaps.filter((gap) => gap.from > 1 && gap.to < Infinity);
  for (const message of board.messages) {
    const between = [];
    while (gaps[0] && gaps[0].from < message.id) between.push(/** @type {Span} */ (gaps.shift()));
    const [first, last] = [between[0], between.at(-1)];
    if (first && last && drawn.length > 0) drawn.push({ kind: "gap", gap: { from: first.from, to: last.to } });
    drawn.push({ kind: "message", message });
  }
  return drawn;
}

/**
 * @param {SnapshotFrame} frame
 * @returns {Board}
 */
function fromSnapshot({ epoch, seq, messages, has_more }) {
  const oldest = messages[0];
  const gaps = has_more && oldest ? [{ from: 1, to: oldest.id - 1 }] : [];
  return { epoch, since: seq, messages: [...messages], gaps, words: new Map() };
}

/**
 * @param {Board} board
 * @param {number} id
 * @param {number} seq
 * @returns {Board}
 */
function remove(board, id, seq) {
  const words = new Map(board.words).set(id, { seq, message: null });
  return { ...board, messages: without(board.messages, id), words };
}

/**
 * Puts a message back, unless its place is in history not read yet: there it would hang in mid-air, and the page that
 * closes the gap brings it (or the word kept here does).
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
 * The ids a page speaks for.
 *
 * @param {Page} page
 * @param {Place} place
 * @returns {Span}
 */
function covered(page, { before, after }) {
  const [first, last] = [page.messages[0], page.messages.at(-1)];
  if (after !== undefined) return { from: after + 1, to: page.has_more && last ? last.id : page.seq };
  return { from: page.has_more && first ? first.id : 1, to: Math.min(page.seq, (before ?? Infinity) - 1) };
}

/**
 * @param {readonly Span[]} gaps
 * @param {Span} read
 * @returns {Span[]}
 */
function subtract(gaps, read) {
  if (read.from > read.to) return [...gaps];
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
 * @returns {readonly Message[]}
 */
function upsert(messages, message) {
  const index = position(messages, message.id);
  const replaced = messages[index]?.id === message.id ? 1 : 0;
  return messages.toSpliced(index, replaced, message);
}

/**
 * @param {readonly Message[]} messages
 * @param {number} id
 * @returns {readonly Message[]}
 */
function without(messages, id) {
  return messages.filter((message) => message.id !== id);
}

/**
 * The index of the first message whose id is not below `id`.
 *
 * @param {readonly Message[]} messages
 * @param {number} id
 */
function position(messages, id) {
  let [low, high] = [0, messages.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (/** @type {Message} */ (messages[middle]).id < id) low = middle + 1;
    else high = middle;
  }
  return low;
}
