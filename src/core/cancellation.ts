/**
 * A way to call something off: one side cancels, the other is told.
 *
 * What `AbortController` is for, at a tenth of its price: a request needs several.
 */
export class Cancellation {
  #isCancelled = false;
  #callbacks: (() => void)[] = [];

  get isCancelled(): boolean {
    return this.#isCancelled;
  }

  /** Tells everybody who listens, once. Callbacks must not throw. */
  cancel(): void {
    if (this.#isCancelled) return;
    this.#isCancelled = true;
    const callbacks = this.#callbacks;
    this.#callbacks = [];
    for (const callback of callbacks) callback();
  }

  /** Calls back when it is cancelled, at once when it has been already. */
  onCancel(callback: () => void): void {
    if (this.#isCancelled) callback();
    else this.#callbacks.push(callback);
  }

  /** Forgets a callback. */
  offCancel(callback: () => void): void {
    const at = this.#callbacks.indexOf(callback);
    if (at >= 0) this.#callbacks.splice(at, 1);
  }
}
