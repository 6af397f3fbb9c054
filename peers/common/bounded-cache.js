// A map with a limit for its total weight. The least recently used entries go first.

/** @template V */
export class BoundedCache {
  /** @type {Map<string, {value: V, weight: number, expires: number}>} */
  #entries = new Map();
  #weight = 0;
  #limit;
  #now;

  /**
   * @param {number} limit the greatest total weight
   * @param {() => number} [now] a clock in milliseconds
   */
  constructor(limit, now = Date.now) {
    this.#limit = limit;
    this.#now = now;
  }

  /** @param {string} key @returns {V | undefined} */
  get(key) {
    const entry = this.#entries.get(key);
    if (!entry) return undefined;
    if (entry.expires <= this.#now()) {
      this.delete(key);
      return undefined;
    }
    // A map iterates in the order of insertion, so this makes the entry the youngest.
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry.value;
  }

  /**
   * @param {string} key
   * @param {V} value
   * @param {number} weight
   * @param {number} expires in milliseconds since 1970
   */
  set(key, value, weight, expires) {
    this.delete(key);
    if (weight > this.#limit) return;
    this.#entries.set(key, { value, weight, expires });
    this.#weight += weight;
    for (const oldest of this.#entries.keys()) {
      if (this.#weight <= this.#limit) break;
      this.delete(oldest);
    }
  }

  /** @param {string} key */
  delete(key) {
    const entry = this.#entries.get(key);
    if (!entry) return;
    this.#weight -= entry.weight;
    this.#entries.delete(key);
  }
}
