/** Reading the board: live, and back into history. */

import { ProblemError } from "../feed/api.js";
import {
  emptyBoard,
  endPins,
  find,
  forget,
  hasOlder,
  isLoaded,
  lacksPins,
  mergePage,
  mergePinned,
  pinnedMs,
  receive,
} from "./board.js";
import { BoardView } from "./view.js";
import { say } from "../ui/format.js";

const PAGE = 50; // messages in a page of history
const AROUND = 25; // on each side of a message that a link leads to
const MOST_KEPT = 2_000; // beyond this many messages in memory, those far from the reader are forgotten
const KEPT = 1_000; // how many then stay
const PINS_RETRY_MS = 15_000;
const LONGEST_TIMER_MS = 2 ** 31 - 1; // of setTimeout; a longer one would be due at once
const MOST_READ_OUT = 5; // of more new messages, only the number is announced
const FIRST_FRAME_MS = 4_000; // without a frame by then, the first page is read over HTTP

/** Keeps the board's state, draws it, and scrolls to messages. */
export class Reader {
  #board = emptyBoard();
  #view;
  #history;
  #below = 0; // messages posted below the visible part
  #unseen = 0; // messages posted while the page was hidden
  #news = 0; // messages posted since the board was last drawn
  #drawing = false;
  #askPinsAt = 0; // not before then is the server asked what is pinned
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #pinTimer; // until the next pin ends
  /** @type {Target | null} */
  #target = null;
  /** @type {() => void} */
  #markLoaded = () => {};
  /** @type {Promise<void>} */
  #loaded = new Promise((resolve) => (this.#markLoaded = resolve));
  #parts;

  /** @param {ReaderParts} parts */
  constructor(parts) {
    this.#parts = parts;
    this.#history = new History(parts.api, { read: () => this.#board, write: (board) => this.#become(board) });
    this.#view = new BoardView({
      isMine: parts.isMine,
      onShare: parts.onShare,
      onOpen: parts.onOpen,
      onGap: (gap) => void this.#readGap(gap),
      onScroll: (place) => this.#scrolled(place),
    });
    setTimeout(() => void this.#readWithoutFeed(), FIRST_FRAME_MS);
  }

  /** @param {BoardInfo} info with the prices, and whether addresses are links */
  configure(info) {
    this.#view.configure(info);
    this.#drawPins();
  }

  /**
   * Takes over the messages that stand in the document, without a frame of delay.
   *
   * @param {SnapshotFrame} snapshot that they were drawn from
   * @param {Opening["history"]} history pages around the message that the address leads to
   */
  takeOver(snapshot, history = []) {
    this.receive(snapshot);
    for (const { place, page } of history) this.#become(mergePage(this.#board, page, place));
    this.#draw();
  }

  /** @param {BoardFrame} frame in order */
  receive(frame) {
    if (frame.type === "message.posted" && !find(this.#board, frame.message.id)) this.#count();
    this.#become(receive(this.#board, frame, performance.now()));
    const lost = frame.type === "snapshot" && this.#target && !find(this.#board, this.#target.id);
    if (lost && this.#target) void this.goTo({ ...this.#target, focus: false });
  }

  /** @param {Indicator} indicator */
  connectionChanged(indicator) {
    if (indicator !== "connecting" && indicator !== "live") void this.#readWithoutFeed();
  }

  /**
   * Scrolls to a message, after loading the history around it.
   *
   * @param {Target} target
   * @returns {Promise<Found>}
   */
  async goTo(target) {
    this.#target = target;
    await this.#loaded;
    try {
      if (!find(this.#board, target.id)) await this.#history.around(target.id);
      const message = find(this.#board, target.id);
      if (!message) return { kind: await this.#whyMissing(target.id) };
      this.#draw(target.id);
      this.#view.reveal(target);
      this.#showPill();
      return { kind: "shown", message };
    } catch {
      return { kind: "failed" };
    }
  }

  /** @param {Coming | null} pending a message that is about to be posted */
  showPending(pending) {
    this.#view.showPending(pending);
  }

  /** Goes to the newest message. */
  goToEnd() {
    this.#view.scrollToEnd();
    this.#readAll();
    this.#draw();
  }

  /** Shows older messages: those that are known and not drawn, else the page before the oldest. */
  async readOlder() {
    if (this.#view.hidesOlder) return this.#draw();
    if (this.#history.busy || !hasOlder(this.#board)) return;
    this.#parts.page.showOlder("loading");
    this.#view.setBusy(true);
    try {
      await this.#history.older();
      this.#draw();
    } catch {
      this.#parts.page.showOlder("failed");
      this.#view.setBusy(false);
    }
  }

  /** The page became visible, or time has passed. */
  refresh() {
    this.#view.refresh();
    this.#drawPins();
    void this.#askForPins();
    if (document.hidden) return;
    this.#unseen = 0;
    this.#parts.page.showUnread(0);
  }

  /** Tries again after nothing could be read. */
  retry() {
    this.#parts.page.showPlaceholder("loading");
    void this.#readWithoutFeed();
  }

  async #readWithoutFeed() {
    if (isLoaded(this.#board)) return;
    try {
      await this.#history.newest();
    } catch {
      if (!isLoaded(this.#board)) this.#parts.page.showPlaceholder("failed");
    }
  }

  /** @param {Span} gap */
  async #readGap(gap) {
    try {
      await this.#history.within(gap);
    } catch {
      this.#parts.notice.show(say("Those messages couldn’t be loaded. Try again in a moment."), { tone: "error" });
    }
  }

  /**
   * @param {number} id
   * @returns {Promise<"removed" | "unknown" | "failed">}
   */
  async #whyMissing(id) {
    try {
      await this.#parts.api.message(id);
      return "failed"; // it has just been restored
    } catch (error) {
      const status = error instanceof ProblemError ? error.status : 0;
      return status === 410 ? "removed" : status === 404 ? "unknown" : "failed";
    }
  }

  #count() {
    this.#news += 1;
    if (!this.#view.atEnd) this.#below += 1;
    if (document.hidden) this.#parts.page.showUnread((this.#unseen += 1));
  }

  /** @param {{ atEnd: boolean, nearEdge: boolean }} place */
  #scrolled({ atEnd, nearEdge }) {
    if (atEnd) this.#readAll();
    else this.#showPill();
    if (nearEdge) this.#drawSoon();
  }

  #readAll() {
    this.#target = null;
    this.#below = 0;
    this.#showPill();
  }

  #showPill() {
    this.#parts.page.showPill({ atEnd: this.#view.atEnd, below: this.#below });
  }

  /** @param {Board} board */
  #become(board) {
    this.#board = this.#trim(board);
    if (isLoaded(board)) this.#markLoaded();
    this.#drawSoon();
  }

  /** @param {Board} board of which the messages around the reader's place and the newest are kept */
  #trim(board) {
    const { messages } = board;
    if (messages.length <= MOST_KEPT) return board;
    const newest = messages[messages.length - KEPT / 2]?.id ?? 0;
    const place = this.#view.place ?? newest;
    const here = messages.findIndex(({ id }) => id >= place);
    const [first, last] = [messages[Math.max(0, here - KEPT / 2)]?.id ?? 1, messages[here + KEPT / 2]?.id ?? newest];
    const trimmed = first > 1 ? forget(board, { from: 1, to: first - 1 }) : board;
    return last < newest - 1 ? forget(trimmed, { from: last + 1, to: newest - 1 }) : trimmed;
  }

  #drawSoon() {
    if (this.#drawing) return;
    this.#drawing = true;
    // Once per animation frame, however many entries arrive; a hidden page has no animation frames.
    if (document.hidden) setTimeout(() => this.#draw());
    else requestAnimationFrame(() => this.#draw());
  }

  /** @param {number} [around] the id of a message to have in the list */
  #draw(around) {
    const { page } = this.#parts;
    const flood = this.#news > MOST_READ_OUT;
    if (flood) page.announce(say("{count} new messages", { count: this.#news }));
    this.#view.render(this.#board, { news: this.#news > 0 && !flood, around });
    this.#news = 0;
    this.#drawing = false;
    this.#showPill();
    const older = this.#view.hidesOlder || hasOlder(this.#board);
    page.showOlder(older ? (this.#history.busy ? "loading" : "some") : "none");
    if (isLoaded(this.#board)) page.showPlaceholder(this.#board.messages.length === 0 ? "empty" : "none");
    this.#drawPins();
    void this.#askForPins();
  }

  /** Draws what is pinned now, and again when the next of them ends. */
  #drawPins() {
    if (!isLoaded(this.#board)) return; // what the server has drawn stays
    const now = performance.now();
    this.#board = endPins(this.#board, now);
    this.#view.renderPins(this.#board, now);
    clearTimeout(this.#pinTimer);
    const left = this.#board.pins.messages.map((message) => pinnedMs(this.#board, message, now));
    if (left.length === 0) return;
    this.#pinTimer = setTimeout(() => this.refresh(), Math.min(LONGEST_TIMER_MS, ...left));
  }

  /** Asks what is pinned, if more may be than is known. */
  async #askForPins() {
    if (performance.now() < this.#askPinsAt || !lacksPins(this.#board)) return;
    this.#askPinsAt = performance.now() + PINS_RETRY_MS;
    const page = await this.#parts.api.pinned().catch(() => null);
    const merged = page ? mergePinned(this.#board, page, performance.now()) : this.#board;
    if (merged === this.#board) return; // `refresh` tries again
    this.#askPinsAt = 0;
    this.#become(merged);
  }
}

/** Reads pages over HTTP; concurrent requests for the same page are shared. All its calls reject like `Api`'s. */
export class History {
  /** @type {Map<string, Promise<void>>} */
  #reading = new Map();
  #api;
  #board;

  /**
   * @param {Pick<import("../feed/api.js").Api, "messages">} api
   * @param {{ read: () => Board, write: (board: Board) => void }} board where the board's state is kept
   */
  constructor(api, board) {
    this.#api = api;
    this.#board = board;
  }

  /** Whether a page is being loaded. */
  get busy() {
    return this.#reading.size > 0;
  }

  /** Reads the newest page, for a start without the feed. */
  newest() {
    return this.#read({}, PAGE);
  }

  /** Reads the page before the oldest message. */
  older() {
    const oldest = this.#board.read().messages[0];
    return this.#read(oldest ? { before: oldest.id } : {}, PAGE);
  }

  /** @param {Span} gap whose next page is read, starting at its oldest id */
  within(gap) {
    return this.#read({ after: gap.from - 1 }, PAGE);
  }

  /** @param {number} id of a message to read, together with its neighbours */
  async around(id) {
    await Promise.all([this.#read({ before: id + 1 }, AROUND), this.#read({ after: id }, AROUND)]);
  }

  /**
   * @param {Place} place
   * @param {number} limit
   */
  #read(place, limit) {
    const name = JSON.stringify(place);
    const reading = this.#reading.get(name) ?? this.#fetch(place, limit).finally(() => this.#reading.delete(name));
    this.#reading.set(name, reading);
    return reading;
  }

  /**
   * @param {Place} place
   * @param {number} limit
   */
  async #fetch(place, limit) {
    const page = await this.#api.messages(place, limit);
    this.#board.write(mergePage(this.#board.read(), page, place));
  }
}
