// Stops requests to a service that keeps failing, and tries again after a pause.

const TOLERATED_FAILURES = 5;
const REST_MILLISECONDS = 60_000;

export class Breaker {
  #failures = 0;
  #closedUntil = 0;
  #now;

  /** @param {() => number} [now] a clock in milliseconds */
  constructor(now = Date.now) {
    this.#now = now;
  }

  /** Whether a request may be sent now. After a pause it is one; others wait for its result. */
  permits() {
    if (this.#failures < TOLERATED_FAILURES) return true;
    if (this.#now() < this.#closedUntil) return false;
    this.#closedUntil = this.#now() + REST_MILLISECONDS;
    return true;
  }

  succeeded() {
    this.#failures = 0;
  }

  failed() {
    this.#failures += 1;
    this.#closedUntil = this.#now() + REST_MILLISECONDS;
  }
}
