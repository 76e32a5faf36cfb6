/**
 * How many attempts are under way at each upstream.
 */

export class InFlightCounts {
  readonly #counts = new Map<number, number>();

  of(upstreamId: number): number {
    return this.#counts.get(upstreamId) ?? 0;
  }

  begin(upstreamId: number): void {
    this.#counts.set(upstreamId, this.of(upstreamId) + 1);
  }

  end(upstreamId: number): void {
    const left = this.of(upstreamId) - 1;
    if (left > 0) this.#counts.set(upstreamId, left);
    else this.#counts.delete(upstreamId);
  }
}
