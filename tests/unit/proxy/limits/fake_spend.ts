/**
 * A store of spending in memory, by the rule of the real ones, that fails as a test wants.
 */
import { grantedNano } from "../../../../src/core/lease_grant.ts";
import type { LeaseAnswer, LeaseRequest, SpendRow, SpendStore } from "../../../../src/core/spend.ts";

interface Source {
  /** By token and day. */
  readonly rows: Map<string, SpendRow>;
  readonly leases: Map<number, number>;
}

/** What a call does: answers, fails before anything was noted, or loses its answer. */
export type Fate = "answer" | "fail" | "lose";

export class FakeSpend {
  readonly #sources = new Map<string, Source>();
  /** Nothing more comes from them. */
  readonly #dead = new Set<string>();
  /** Calls that wait, with how they are to be answered. */
  readonly calls: { readonly source: string; readonly end: (fate: Fate) => void }[] = [];
  requestCount = 0;

  /** Of one server. Each call waits until the test ends it, unless `isAuto`. */
  store(source: string, isAuto = false): SpendStore {
    return {
      renew: (requests) => {
        this.requestCount++;
        if (isAuto) return Promise.resolve(this.#renew(source, requests));
        if (this.#dead.has(source)) return new Promise(() => {});
        const { promise, resolve, reject } = Promise.withResolvers<readonly LeaseAnswer[]>();
        this.calls.push({
          source,
          end: (fate) => {
            if (fate === "fail") return reject(new Error("the database is locked"));
            const answers = this.#renew(source, requests);
            if (fate === "answer") resolve(answers);
            else reject(new Error("the connection was lost"));
          },
        });
        return promise;
      },
    };
  }

  /** A dead server's leases are charged. */
  bury(source: string, day: string): void {
    this.#dead.add(source);
    const dead = this.#of(source);
    for (const [tokenId, nano] of dead.leases) {
      const key = `${tokenId} ${day} dead`;
      const row = { day, costNano: nano, requests: 0, tokens: 0, estimatedNano: nano, overshootNano: 0 };
      dead.rows.set(key, row);
    }
    dead.leases.clear();
  }

  /** Of one token since a day. */
  spent(tokenId: number, fromDay = ""): number {
    let sum = 0;
    for (const { rows } of this.#sources.values()) {
      for (const [key, { day, costNano }] of rows) {
        if (key.startsWith(`${tokenId} `) && day >= fromDay) sum += costNano;
      }
    }
    return sum;
  }

  leased(tokenId: number, but?: string): number {
    let sum = 0;
    for (const [name, { leases }] of this.#sources) if (name !== but) sum += leases.get(tokenId) ?? 0;
    return sum;
  }

  rowsOf(source: string): SpendRow[] {
    return [...this.#of(source).rows.values()];
  }

  #of(name: string): Source {
    let source = this.#sources.get(name);
    if (source === undefined) {
      source = { rows: new Map(), leases: new Map() };
      this.#sources.set(name, source);
    }
    return source;
  }

  #renew(name: string, requests: readonly LeaseRequest[]): LeaseAnswer[] {
    const source = this.#of(name);
    return requests.map((request) => {
      const { tokenId, fromDay } = request;
      let grownNano = 0;
      for (const row of request.rows) {
        const key = `${tokenId} ${row.day}`;
        grownNano += row.costNano - (source.rows.get(key)?.costNano ?? 0);
        source.rows.set(key, { ...row });
      }
      const spentNano = this.spent(tokenId, fromDay);
      const othersLeaseNano = this.leased(tokenId, name);
      const heldNano = source.leases.get(tokenId) ?? 0;
      const leaseNano = grantedNano(request, { spentNano, grownNano, heldNano, othersLeaseNano });
      source.leases.set(tokenId, leaseNano);
      return { tokenId, leaseNano, spentNano, othersLeaseNano };
    });
  }
}
