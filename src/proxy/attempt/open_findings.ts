/**
 * What failed attempts of one request have found, and a later one may prove: that an upstream lacks what another one has, and
 * that one key is refused where another key is accepted.
 */
import type { Upstream } from "../../core/types.ts";
import type { AttemptReport } from "./attempt_report.ts";

interface FailedOne {
  readonly upstream: Upstream;
  readonly report: AttemptReport | null;
}

export class OpenFindings {
  #missing: AttemptReport[] | null = null;
  #refused: FailedOne[] | null = null;

  note({ upstream, report }: FailedOne): void {
    if (report?.isMissing) (this.#missing ??= []).push(report);
    if (report?.isKeyRefused) (this.#refused ??= []).push({ upstream, report });
  }

  /** This upstream has answered well. */
  answered({ id }: Upstream): void {
    this.settle({ isAnswered: true });
    for (const { upstream, report } of this.#refused ?? []) {
      if (upstream.id === id) report?.confirmRefusal();
    }
  }

  /** Nobody will find more. A second end changes nothing. */
  settle({ isAnswered }: { readonly isAnswered: boolean }): void {
    for (const report of this.#missing ?? []) report.settleMissing({ isAnswered });
  }
}
