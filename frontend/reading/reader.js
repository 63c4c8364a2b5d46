/** Reading the board: live, and back into history. */

import { ProblemError } from "../feed/api.js";
import { emptyBoard, find, hasOlder, isLoaded, receive, trim } from "./board.js";
import { History } from "./history.js";
import { BoardView } from "./view.js";

const MOST_SHOWN = 600; // beyond this many messages, the oldest are dropped
const KEPT = 300; // how many then stay
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
      onCopy: parts.onCopy,
      onGap: (gap) => void this.#readGap(gap),
      onScroll: (atEnd) => atEnd && this.#readAll(),
    });
    setTimeout(() => void this.#readWithoutFeed(), FIRST_FRAME_MS);
  }

  /** @param {BoardFrame} frame in order */
  receive(frame) {
    if (frame.type === "message.posted" && !find(this.#board, frame.message.id)) this.#count();
    this.#become(receive(this.#board, frame));
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
      this.#draw();
      this.#view.reveal(target);
      return { kind: "shown", message };
    } catch {
      return { kind: "failed" };
    }
  }

  /** @param {Content | null} pending a message that is about to be posted */
  showPending(pending) {
    this.#view.showPending(pending);
  }

  /** Goes to the newest message. */
  goToEnd() {
    this.#view.scrollToEnd();
    this.#readAll();
  }

  /** Reads the page of messages before the oldest. */
  async readOlder() {
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
      this.#parts.notice.show("Those messages couldn’t be loaded. Try again in a moment.", { tone: "error" });
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

  #readAll() {
    this.#target = null;
    this.#below = 0;
    this.#parts.page.showPill(0);
  }

  /** @param {Board} board */
  #become(board) {
    this.#board = board.messages.length > MOST_SHOWN && this.#view.atEnd ? trim(board, KEPT) : board;
    if (isLoaded(board)) this.#markLoaded();
    if (this.#drawing) return;
    this.#drawing = true;
    // Once per animation frame, however many entries arrive; a hidden page has no animation frames.
    if (document.hidden) setTimeout(() => this.#draw());
    else requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    const { page } = this.#parts;
    const flood = this.#news > MOST_READ_OUT;
    if (flood) page.announce(`${this.#news} new messages`);
    this.#view.render(this.#board, { news: this.#news > 0 && !flood });
    this.#news = 0;
    this.#drawing = false;
    page.showPill(this.#below);
    page.showOlder(hasOlder(this.#board) ? (this.#history.busy ? "loading" : "some") : "none");
    if (isLoaded(this.#board)) page.showPlaceholder(this.#board.messages.length === 0 ? "empty" : "none");
  }
}
