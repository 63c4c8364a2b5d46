/** The overlay's queue: which message is on screen, and which ones come next. Pure; overlay.js draws it. */

export const PAUSE_MS = 500; // between two messages
export const MOST_WAITING = 500;
const LEAST_MS = 4_000; // how long a message stays on screen at the least, when no others wait
const LEVEL_MS = 2_000; // more for each tier
const CHARACTER_MS = 45; // more for each character: a reader's pace
const CALM = 3; // so many may wait before messages are shown for a shorter time
const SHORTEST = 0.25; // of their time

/** @returns {OverlayQueue} */
export function emptyQueue() {
  return { epoch: null, last: 0, waiting: [], shown: null, unseen: [], freeAt: 0 };
}

/**
 * What the address asks for. Whatever is malformed counts as absent.
 *
 * @param {string} search the address's query
 * @returns {OverlayOptions}
 */
export function readOptions(search) {
  const query = new URLSearchParams(search);
  const min = query.get("min") ?? "";
  const delay = query.get("delay") ?? "";
  return {
    sound: query.get("sound") === "1",
    min: /^\d{1,9}$/.test(min) ? Number(min) : 0,
    delayMs: /^\d{1,6}(\.\d{1,3})?$/.test(delay) ? Number(delay) * 1000 : 0,
  };
}

/**
 * The queue after a frame. Messages posted from now on wait for their turn; what is removed leaves at once.
 *
 * @param {OverlayQueue} queue
 * @param {Frame} frame
 * @param {number} now in milliseconds, by a clock that never jumps
 * @param {OverlayOptions} options
 * @returns {OverlayQueue}
 */
export function receive(queue, frame, now, options) {
  switch (frame.type) {
    case "snapshot":
      return fromSnapshot(queue, frame, now, options);
    case "message.posted":
      return { ...enqueue(queue, [frame.message], now, options), last: frame.seq };
    case "message.restored": {
      if (!queue.unseen.includes(frame.message.id)) return queue;
      const unseen = queue.unseen.filter((id) => id !== frame.message.id);
      return enqueue({ ...queue, unseen }, [frame.message], now, options);
    }
    case "message.removed":
    case "message.withheld":
      return without(queue, frame.message_id, frame.seq);
    default:
      return queue;
  }
}

/**
 * The queue as time goes on: takes down what was on screen long enough, and then shows the next message that is due.
 *
 * @param {OverlayQueue} queue
 * @param {number} now
 * @param {(message: Message) => number} level its tier, from 0
 * @returns {OverlayQueue}
 */
export function advance(queue, now, level) {
  if (queue.shown) {
    return now < queue.shown.until ? queue : { ...queue, shown: null, freeAt: now + PAUSE_MS };
  }
  const [next, ...waiting] = queue.waiting;
  if (!next || now < next.due || now < queue.freeAt) return queue;
  return { ...queue, waiting, shown: { message: next.message, until: now + dwellMs(next.message, level, waiting.length) } };
}

/**
 * @param {OverlayQueue} queue
 * @returns {number | null} when `advance` has something to do; null if only a frame can bring it
 */
export function nextChange(queue) {
  if (queue.shown) return queue.shown.until;
  return queue.waiting[0] ? Math.max(queue.waiting[0].due, queue.freeAt) : null;
}

/**
 * How long a message is on screen: longer for a higher tier and a longer text, shorter when many wait.
 *
 * @param {Message} message
 * @param {(message: Message) => number} level
 * @param {number} waiting how many
 */
function dwellMs(message, level, waiting) {
  const calm = LEAST_MS + LEVEL_MS * level(message) + CHARACTER_MS * message.text.length;
  return calm * (waiting <= CALM ? 1 : Math.max(SHORTEST, CALM / waiting));
}

/**
 * The first snapshot shows nothing: its messages are not new. A later one comes when the board went on too far to resume:
 * what still waits is checked against it, and a new epoch forgets everything.
 *
 * @param {OverlayQueue} queue
 * @param {SnapshotFrame} frame
 * @param {number} now
 * @param {OverlayOptions} options
 * @returns {OverlayQueue}
 */
function fromSnapshot(queue, { epoch, seq, messages }, now, options) {
  if (queue.epoch !== epoch) return { ...emptyQueue(), epoch, last: seq };
  const there = new Set(messages.map(({ id }) => id));
  const kept = {
    ...queue,
    waiting: queue.waiting.filter(({ message }) => there.has(message.id)),
    shown: queue.shown && there.has(queue.shown.message.id) ? queue.shown : null,
    unseen: [],
  };
  const missed = messages.filter(({ id }) => id > queue.last);
  return { ...enqueue(kept, missed, now, options), last: seq };
}

/**
 * @param {OverlayQueue} queue
 * @param {readonly Message[]} messages
 * @param {number} now
 * @param {OverlayOptions} options
 * @returns {OverlayQueue}
 */
function enqueue(queue, messages, now, { min, delayMs }) {
  const wanted = messages.filter(({ amount }) => amount >= min).map((message) => ({ message, due: now + delayMs }));
  const waiting = [...queue.waiting, ...wanted];
  while (waiting.length > MOST_WAITING) {
    const least = Math.min(...waiting.map(({ message }) => message.amount));
    waiting.splice(waiting.findIndex(({ message }) => message.amount === least), 1);
  }
  return { ...queue, waiting };
}

/**
 * @param {OverlayQueue} queue
 * @param {number} id of a message that is off the board
 * @param {number} seq
 * @returns {OverlayQueue}
 */
function without(queue, id, seq) {
  const waiting = queue.waiting.filter(({ message }) => message.id !== id);
  const isUnseen = waiting.length < queue.waiting.length || seq === id; // withheld: it never came
  const shown = queue.shown?.message.id === id ? null : queue.shown;
  const unseen = isUnseen ? [...queue.unseen, id].slice(-MOST_WAITING) : queue.unseen;
  return { ...queue, last: seq, waiting, shown, unseen };
}
