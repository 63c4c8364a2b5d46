/** The reader's side: the board as it is read, live and back into history. */

import { ProblemError } from "./api.js";
import { emptyBoard, find, hasOlder, isLoaded, receive, trim } from "./board.js";
import { History } from "./history.js";
import { BoardView } from "./view.js";

/** @import { BoardFrame, Message } from "./types" */
/** @import { Api } from "./api.js" */
/** @import { Board, Span } from "./board.js" */
/** @import { Indicator } from "./connection.js" */
/** @import { Notice } from "./notice.js" */
/** @import { PageFrame } from "./page.js" */

/** @typedef {{ id: number, mark: "highlight" | "target", focus: boolean }} Target */

/**
 * What became of going to a message.
 *
 * @typedef {{ kind: "shown", message: Message } | { kind: "removed" | "unknown" | "failed" }} Found
 */

const MOST_SHOWN = 600; // a page left open for days drops its oldest from here on,
const KEPT = 300; // down to these
const MOST_READ_OUT = 5; // more at once are summed up
const FIRST_FRAME_MS = 4_000; // then the first page is read over HTTP

/** Keeps the board's state, has it drawn, and takes the reader to messages. */
export class Reader {
  /** @type {Board} */
  #board = emptyBoard();
  #view;
  #history;
  #below = 0; // messages posted below what is in sight
  #unseen = 0; // messages posted while the page was hidden
  #news = 0; // messages posted since the last drawing
  #drawing = false;
  /** @type {Target | null} */
  #target = null;
  /** @type {() => void} */
  #markLoaded = () => {};
  #loaded = /** @type {Promise<void>} */ (new Promise((resolve) => (this.#markLoaded = resolve)));
  #api;
  #page;
  #notice;

  /**
   * @param {object} options
   * @param {Api} options.api
   * @param {PageFrame} options.page
   * @param {Notice} options.notice
   * @param {(message: Message) => boolean} options.isMine
   * @param {(id: number) => void} options.onCopy
   */
  constructor({ api, page, notice, isMine, onCopy }) {
    this.#api = api;
    this.#page = page;
    this.#notice = notice;
    this.#history = new History(api, { read: () => this.#board, write: (board) => this.#become(board) });
    this.#view = new BoardView({
      isMine,
      onCopy,
      onGap: (gap) => void this.#readGap(gap),
      onScroll: (atEnd) => atEnd && this.#readAll(),
    });
    setTimeout(() => void this.#readWithoutFeed(), FIRST_FRAME_MS);
  }

  /** @param {BoardFrame} frame in order */
  receive(frame) {
    if (frame.type === "message.posted" && !find(this.#board, frame.message.id)) this.#count();
    this.#become(receive(this.#board, frame));
    if (frame.type === "snapshot" && this.#target && !find(this.#board, this.#target.id)) {
      void this.goTo({ ...this.#target, focus: false });
    }
  }

  /** @param {Indicator} indicator */
  connectionChanged(indicator) {
    if (indicator !== "connecting" && indicator !== "live") void this.#readWithoutFeed();
  }

  /**
   * Takes the reader to a message, loading the history it stands in.
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
      this.#view.reveal(target.id, target);
      return { kind: "shown", message };
    } catch {
      return { kind: "failed" };
    }
  }

  /** Goes to the newest message. */
  goToEnd() {
    this.#view.scrollToEnd();
    this.#readAll();
  }

  /** The page is looked at. */
  seen() {
    this.#unseen = 0;
    this.#page.showUnread(0);
  }

  /** Reads the page of messages before the oldest. */
  async readOlder() {
    if (this.#history.busy || !hasOlder(this.#board)) return;
    this.#page.showOlder("loading");
    this.#view.setBusy(true);
    try {
      await this.#history.older();
      this.#draw();
    } catch {
      this.#page.showOlder("failed");
      this.#view.setBusy(false);
    }
  }

  /** Starts again where nothing could be read. */
  retry() {
    this.#page.showPlaceholder("loading");
    void this.#readWithoutFeed();
  }

  /** Time has passed. */
  refreshTimes() {
    this.#view.refreshTimes(Date.now());
  }

  /** Other messages than before are this device's own. */
  refreshMine() {
    this.#view.refreshMine();
  }

  async #readWithoutFeed() {
    if (isLoaded(this.#board)) return;
    try {
      await this.#history.newest();
    } catch {
      if (!isLoaded(this.#board)) this.#page.showPlaceholder("failed");
    }
  }

  /** @param {Span} gap */
  async #readGap(gap) {
    try {
      await this.#history.within(gap);
    } catch {
      this.#notice.show("Those messages couldn’t be loaded. Try again in a moment.", { tone: "error" });
    }
  }

  /**
   * @param {number} id
   * @returns {Promise<"removed" | "unknown" | "failed">}
   */
  async #whyMissing(id) {
    try {
      await this.#api.message(id);
      return "failed"; // it was put back this very moment
    } catch (error) {
      if (!(error instanceof ProblemError)) return "failed";
      return error.status === 410 ? "removed" : error.status === 404 ? "unknown" : "failed";
    }
  }

  #count() {
    this.#news += 1;
    if (!this.#view.atEnd) this.#below += 1;
    if (!document.hidden) return;
    this.#unseen += 1;
    this.#page.showUnread(this.#unseen);
  }

  #readAll() {
    this.#target = null;
    this.#below = 0;
    this.#page.showPill(0);
  }

  /** @param {Board} board */
  #become(board) {
    this.#board = board.messages.length > MOST_SHOWN && this.#view.atEnd ? trim(board, KEPT) : board;
    if (isLoaded(board)) this.#markLoaded();
    if (this.#drawing) return;
    this.#drawing = true;
    // Once per painted frame, however many entries come in; a hidden page paints none.
    if (document.hidden) setTimeout(() => this.#draw());
    else requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    const flood = this.#news > MOST_READ_OUT;
    if (flood) this.#page.announce(`${this.#news} new messages`);
    this.#view.render(this.#board, { news: this.#news > 0 && !flood });
    this.#news = 0;
    this.#drawing = false;
    this.#page.showPill(this.#below);
    this.#page.showOlder(hasOlder(this.#board) ? (this.#history.busy ? "loading" : "some") : "none");
    const empty = this.#board.messages.length === 0;
    if (isLoaded(this.#board)) this.#page.showPlaceholder(empty ? "empty" : "none");
  }
}
