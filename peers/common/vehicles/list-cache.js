// Remembers each user's serialized list for some minutes. A write through this process drops it; a write by another
// program shows when the time is over.

import { BoundedCache } from '../bounded-cache.js';

const MAX_BYTES = 64 * 1024 * 1024;
/** How long a write whose outcome nobody has seen may take to be committed: longer than PostgreSQL lets a statement run. */
const LONGEST_COMMIT_MILLISECONDS = 60_000;
const MAX_UNCERTAIN_USERS = 10_000;

/** @typedef {{version: number, json: Buffer}} EncodedList */

export class ListCache {
  /** @type {BoundedCache<EncodedList>} */
  #lists;
  /** Reads that are under way, which users share. A write ends that: what it began before may be outdated. */
  #reading = new Map();
  /** Until when a write of a user may be committed. @type {Map<string, number>} */
  #uncertain = new Map();
  #milliseconds;
  #now;

  /** @param {number} milliseconds 0 remembers nothing @param {() => number} [now] a clock in milliseconds */
  constructor(milliseconds, now = Date.now) {
    this.#lists = new BoundedCache(MAX_BYTES, now);
    this.#milliseconds = milliseconds;
    this.#now = now;
  }

  get isOn() {
    return this.#milliseconds > 0;
  }

  /**
   * @param {string} user
   * @param {() => Promise<EncodedList>} read
   * @returns {Promise<EncodedList>}
   */
  async get(user, read) {
    if (!this.isOn || this.#isUncertain(user)) return read();
    return this.#lists.get(user) ?? this.#reading.get(user) ?? this.#readOnce(user, read);
  }

  /** @param {string} user */
  drop(user) {
    this.#lists.delete(user);
    this.#reading.delete(user);
  }

  /** Remembers no list while a write whose outcome is unknown may be committed. @param {string} user */
  suspend(user) {
    this.drop(user);
    // The oldest first; with too many, the time of the first ends early.
    this.#uncertain.delete(user);
    this.#uncertain.set(user, this.#now() + LONGEST_COMMIT_MILLISECONDS);
    if (this.#uncertain.size > MAX_UNCERTAIN_USERS) this.#uncertain.delete(this.#uncertain.keys().next().value);
  }

  #isUncertain(user) {
    const until = this.#uncertain.get(user);
    if (until === undefined) return false;
    if (this.#now() < until) return true;
    this.#uncertain.delete(user);
    return false;
  }

  #readOnce(user, read) {
    const reading = read().then(
      (list) => {
        if (this.#end(user, reading)) {
          this.#lists.set(user, list, list.json.length, this.#now() + this.#milliseconds);
        }
        return list;
      },
      (error) => {
        this.#end(user, reading);
        throw error;
      },
    );
    this.#reading.set(user, reading);
    return reading;
  }

  /** Whether no write came in between. */
  #end(user, reading) {
    return this.#reading.get(user) === reading && this.#reading.delete(user);
  }
}
