/** History: fetches pages of older messages and merges them into the board. */

import { mergePage } from "./board.js";

const PAGE = 50;
const AROUND = 25;

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
