/**
 * A relay made of `Deno.serve` and `fetch` only, without recording: the upper limit of the runtime.
 *
 * Its arguments are the port to listen on and the port of the upstream.
 */
const [port, upstreamPort] = Deno.args.map(Number);

const client = Deno.createHttpClient({
  http1: true,
  http2: false,
  poolMaxIdlePerHost: 8_192,
  poolIdleTimeout: 60_000,
});

if (import.meta.main) {
  Deno.serve({ hostname: "127.0.0.1", port: port ?? 0, onListen: () => {} }, async (request) => {
    const { pathname, search } = new URL(request.url);
    const reply = await fetch(`http://127.0.0.1:${upstreamPort}${pathname}${search}`, {
      method: request.method,
      headers: request.headers,
      body: await request.bytes(),
      client,
    });
    return new Response(reply.body, { status: reply.status, headers: reply.headers });
  });
}
