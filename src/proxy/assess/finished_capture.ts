/**
 * The capture of a stream that was read to its end before it is relayed: nothing is read again.
 */
import type { Capture, CaptureProgress } from "../../capture/capture.ts";
import type { CapturedReply } from "../../core/types.ts";

export class FinishedCapture implements Capture {
  readonly progress: CaptureProgress;
  readonly #captured: CapturedReply;

  constructor(progress: CaptureProgress, captured: CapturedReply) {
    this.progress = progress;
    this.#captured = captured;
  }

  push(): void {}

  partial(): CapturedReply {
    return this.#captured;
  }

  finish(): CapturedReply {
    return this.#captured;
  }
}
