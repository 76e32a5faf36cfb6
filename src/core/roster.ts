/**
 * Who is present: whoever comes is the last, anybody may leave, all are seen from the first to the last.
 *
 * For what comes and goes with every request. A `Set` or a `Map` would do, were it not for V8's collector of young
 * objects: each table that one of them has outgrown leads to the next one, and holds what it held. Once such a table
 * is old, everything that passes through survives, from table to table, until the next full collection. A place that
 * was left leads nowhere.
 */
export class Roster<T> {
  #first: Place<T> | null = null;
  #last: Place<T> | null = null;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(member: T): Place<T> {
    const place: Place<T> = { member, before: this.#last, after: null };
    if (this.#last === null) this.#first = place;
    else this.#last.after = place;
    this.#last = place;
    this.#size++;
    return place;
  }

  /** Does nothing when it was left before. */
  leave(place: Place<T>): void {
    const { before, after } = place;
    if (before === null && this.#first !== place) return;
    if (before === null) this.#first = after;
    else before.after = after;
    if (after === null) this.#last = before;
    else after.before = before;
    place.before = place.after = null;
    this.#size--;
  }

  /** The first place; null when nobody is present. */
  get first(): Place<T> | null {
    return this.#first;
  }

  /** Who is present now. */
  members(): T[] {
    const members: T[] = [];
    for (let place = this.#first; place !== null; place = place.after) members.push(place.member);
    return members;
  }
}

/** Where a member stands; only its {@link Roster} changes it. */
export interface Place<T> {
  readonly member: T;
  before: Place<T> | null;
  /** The next one's; null at the end, and of a place that was left. */
  after: Place<T> | null;
}
