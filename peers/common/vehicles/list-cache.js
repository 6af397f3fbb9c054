// Remembers each user's serialized list for some minutes. A write through this process drops it; a write by another
// program shows when the time is over.

import { BoundedCache } from '../bounded-cache.js';

const MAX_BYTES = 64 * 1024 * 1024;

/** @typedef {{version: number, json: Buffer}} EncodedList */

export class ListCache {
  /** @type {BoundedCache<EncodedList>} */
  #lists;
  /** Reads that are under way, which users share. A write ends that: what it began before may be outdated. */
  #reading = new Map();
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
    if (!this.isOn) return read();
    return this.#lists.get(user) ?? this.#reading.get(user) ?? this.#readOnce(user, read);
  }

  /** @param {string} user */
  drop(user) {
    this.#lists.delete(user);
    this.#reading.delete(user);
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
