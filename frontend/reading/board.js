/** The board's state: the messages read so far, and the gaps of unread history. Pure; view.js draws it. */

/** @returns {Board} */
export function emptyBoard() {
  return { epoch: null, since: 0, messages: [], gaps: [{ from: 1, to: Infinity }], words: new Map() };
}

/**
 * The board after one more frame; frames must come in order, which feed.js ensures.
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
      return {
        ...board,
        messages: board.messages.filter(({ id }) => id !== frame.message_id),
        words: new Map(board.words).set(frame.message_id, { seq: frame.seq, message: null }),
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
 * The board with only its newest messages, so that a page left open for days stays small. The others count as unread
 * history again.
 *
 * @param {Board} board
 * @param {number} keep how many
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
 * The rows to draw from top to bottom: the messages, and a row for each gap between two of them.
 *
 * @param {Board} board
 * @returns {Row[]}
 */
export function rows(board) {
  /** @type {Row[]} */
  const drawn = [];
  const gaps = board.gaps.filter((gap) => gap.from > 1);
  for (const message of board.messages) {
    const between = gaps.splice(0, gaps.filter((gap) => gap.from < message.id).length);
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
  return { epoch, since: seq, messages, gaps, words: new Map() };
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
