/** The sound of a new message: two notes, higher for a higher tier, made by the browser. */

const LATE_MS = 1_000; // a browser may allow sound only later, and then must not make up for what it missed
const NOTES = [659, 880]; // Hz
const STEP = 1.12; // two semitones a tier
const NOTE_S = 0.18;
const LOUDNESS = 0.15;

/** Rings if it is on. Browsers other than those of streaming programs allow sound only after a click or a key. */
export class Chime {
  #on;
  /** @type {AudioContext | undefined} */
  #audio;

  /** @param {boolean} on */
  constructor(on) {
    this.#on = on;
  }

  /** Turns the sound off, or on again. */
  toggle() {
    this.#on = !this.#on;
  }

  /** @param {number} level the tier, from 0 */
  async ring(level) {
    if (!this.#on) return;
    const asked = performance.now();
    this.#audio ??= new AudioContext();
    await this.#audio.resume();
    if (performance.now() - asked < LATE_MS) this.#play(this.#audio, level);
  }

  /**
   * @param {AudioContext} audio
   * @param {number} level
   */
  #play(audio, level) {
    for (const [index, pitch] of NOTES.entries()) {
      const start = audio.currentTime + index * NOTE_S;
      const end = start + 2 * NOTE_S;
      const note = new OscillatorNode(audio, { type: "triangle", frequency: pitch * STEP ** level });
      const volume = new GainNode(audio, { gain: 0 });
      volume.gain.setValueAtTime(LOUDNESS, start);
      volume.gain.exponentialRampToValueAtTime(0.001, end);
      note.connect(volume).connect(audio.destination);
      note.start(start);
      note.stop(end);
    }
  }
}
