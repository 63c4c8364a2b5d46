/** The reader of history: fetches pages of older messages and merges them into the board. */

import { mergePage } from "./board.js";

/** @import { Api } from "./api.js" */
/** @import { Board, Place, Span } from "./board.js" */

const PAGE = 50;
const AROUND = 25;

/** Reads pages over HTTP; the same page is not asked for twice at a time. All its calls reject like `Api`'s. */
export class History {
  /** @type {Map<string, Promise<void>>} */
  #reading = new Map();
  #api;
  #board;

  /**
   * @param {Pick<Api, "messages">} api
   * @param {{ read: () => Board, write: (board: Board) => void }} board where the board's state is kept
   */
  constructor(api, board) {
    this.#api = api;
    this.#board = board;
  }

  /** Whether a page is on its way. */
  get busy() {
    return this.#reading.size > 0;
  }

  /** The newest page: for a start without the feed. */
  newest() {
    return this.#read({}, PAGE);
  }

  /** The page before the oldest message. */
  older() {
    const oldest = this.#board.read().messages[0];
    return this.#read(oldest ? { before: oldest.id } : {}, PAGE);
  }

  /**
   * The next page of a gap, from its old end.
   *
   * @param {Span} gap
   */
  within(gap) {
    return this.#read({ after: gap.from - 1 }, PAGE);
  }

  /**
   * The message and what stands on both sides of it.
   *
   * @param {number} id
   */
  async around(id) {
    await Promise.all([this.#read({ before: id + 1 }, AROUND), this.#read({ after: id }, AROUND)]);
  }

  /**
   * @param {Place} place
   * @param {number} limit
   * @returns {Promise<void>}
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
