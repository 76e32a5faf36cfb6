/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
/**
 * The thread of worst.ts that polls `/healthz` of a router and measures its answer times.
 */

type Message = { readonly type: "begin"; readonly port: number } | { readonly type: "take" };

const PAUSE_MS = 10;

let worstMs = 0;
let takers = 0;

self.onmessage = ({ data }: MessageEvent<Message>): void => {
  if (data.type === "begin") void pingForEver(data.port);
  else takers++;
};

async function pingForEver(port: number): Promise<never> {
  for (;;) {
    const startedMs = performance.now();
    await (await fetch(`http://127.0.0.1:${port}/healthz`)).text();
    worstMs = Math.max(worstMs, performance.now() - startedMs);
    // A pending answer counts for the period in which it arrives.
    for (; takers > 0; takers--) {
      self.postMessage(worstMs);
      worstMs = 0;
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}
