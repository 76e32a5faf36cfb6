/**
 * A doubly linked list: append and remove by node in O(1), iterated oldest first.
 *
 * For objects that live as long as a request. Not a `Set` or `Map`: an outgrown table keeps a reference to its
 * successor, so once one is promoted to V8's old space, everything passing through survives until the next full
 * collection. A removed node references nothing.
 */
export class LinkedList<T> {
  #first: ListNode<T> | null = null;
  #last: ListNode<T> | null = null;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(value: T): ListNode<T> {
    const node: ListNode<T> = { value, before: this.#last, after: null };
    if (this.#last === null) this.#first = node;
    else this.#last.after = node;
    this.#last = node;
    this.#size++;
    return node;
  }

  /** Does nothing when the node has been removed already. */
  remove(node: ListNode<T>): void {
    const { before, after } = node;
    if (before === null && this.#first !== node) return;
    if (before === null) this.#first = after;
    else before.after = after;
    if (after === null) this.#last = before;
    else after.before = before;
    node.before = node.after = null;
    this.#size--;
  }

  /** null when the list is empty. */
  get first(): ListNode<T> | null {
    return this.#first;
  }

  /** null when the list is empty. */
  get last(): ListNode<T> | null {
    return this.#last;
  }

  toArray(): T[] {
    const values: T[] = [];
    for (let node = this.#first; node !== null; node = node.after) values.push(node.value);
    return values;
  }
}

/** An element of a {@link LinkedList}; only the list changes it. */
export interface ListNode<T> {
  readonly value: T;
  before: ListNode<T> | null;
  /** null at the end, and after the node was removed. */
  after: ListNode<T> | null;
}
