/**
 * Sends alerts the same way out as requests: with the same proxies, addresses and authorities.
 *
 * Follows no redirects, as nothing that this client sends does.
 */
import { Cancellation } from "../core/cancellation.ts";
import { percentDecoded } from "../core/percent_text.ts";
import { HeaderFields } from "../core/header_fields.ts";
import type { AlertFetch } from "../notify/http_channel.ts";
import type { LendingSource } from "../wire/byte_source.ts";
import type { UpstreamClient } from "../wire/upstream_client.ts";

/** Statuses whose answers have no body: https://fetch.spec.whatwg.org/#null-body-status */
const BODILESS: ReadonlySet<number> = new Set([204, 205, 304]);

export function alertFetch(client: UpstreamClient): AlertFetch {
  return async (text, { method, headers, body, signal }) => {
    const cancellation = new Cancellation();
    signal.addEventListener("abort", () => cancellation.cancel(), { once: true });
    if (signal.aborted) cancellation.cancel();
    const { url, credential } = withoutCredential(text);
    const reply = await client.send({
      url,
      method,
      headers: new HeaderFields([...Object.entries({ ...credential, ...headers })]),
      body: new TextEncoder().encode(body),
      cancellation,
    });
    const { status, body: source } = reply;
    if (status < 200 || BODILESS.has(status)) source.cancel();
    if (status < 200) throw new Error(`it answered ${status}`);
    return new Response(BODILESS.has(status) ? null : streamOf(source), {
      status,
      headers: [...reply.headers].filter(([name]) => name !== "content-encoding"),
    });
  };
}

/** A URL's user and password are sent as `fetch` in browsers does not: in a header (RFC 7617). */
function withoutCredential(text: string): { url: string; credential: Record<string, string> } {
  const url = URL.parse(text);
  if (url === null) throw new TypeError("invalid URL");
  if (url.username === "" && url.password === "") return { url: text, credential: {} };
  const pair = `${percentDecoded(url.username)}:${percentDecoded(url.password)}`;
  url.username = url.password = "";
  const authorization = `Basic ${new TextEncoder().encode(pair).toBase64()}`;
  return { url: url.href, credential: { authorization } };
}

function streamOf(source: LendingSource): ReadableStream<Uint8Array> {
  return new ReadableStream({
    pull: async (controller) => {
      const bytes = await source.read();
      if (bytes === null) controller.close();
      else controller.enqueue(bytes);
    },
    cancel: () => source.cancel(),
  });
}
