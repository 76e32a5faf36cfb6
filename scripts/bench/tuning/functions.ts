/**
 * Single functions, and operations of the runtime, in nanoseconds. Arguments: checkouts to compare, in turn within
 * one process; default: this one.
 */
const roots = Deno.args.length > 0 ? Deno.args : [Deno.cwd()];
const encoder = new TextEncoder();

function compare(name: string, calls: Record<string, () => unknown>): void {
  const runs = Object.entries(calls).map(([key, call]) => ({ key, call, count: 1, times: [] as number[] }));
  const timed = (call: () => unknown, count: number) => {
    const start = performance.now();
    for (let i = 0; i < count; i++) call();
    return performance.now() - start;
  };
  for (const run of runs) while (timed(run.call, run.count) < 3) run.count *= 2;
  for (let round = 0; round < 31; round++) {
    for (const { call, count, times } of runs) times.push(timed(call, count) / count * 1e6);
  }
  // The lower quartile: interruptions only ever add.
  const quick = (times: number[]) => times.sort((a, b) => a - b)[7]?.toFixed(0);
  console.log(`${name}:`, runs.map(({ key, times }) => `${key} ${quick(times)}`).join(", "), "ns");
}

/** The same call of several checkouts, in turn. */
async function ofEach<T>(
  file: string,
  call: (module: T) => () => unknown,
): Promise<Record<string, () => unknown>> {
  const calls: Record<string, () => unknown> = {};
  for (const root of roots) calls[root] = call(await import(`file://${Deno.realPathSync(root)}/src/${file}`));
  return calls;
}

// SecretSet: keys with different beginnings, in a request of 4 KB.
const text = "the quick brown fox asks for a small task; it goes over the lazy dog and reads. ".repeat(50);
const heads = "sk-a,sk-p,key-,gsk_,AIza,xai-,tok-,nvap,hf_a,r8_a,pplx,fw_a,AKIA,oar-,abcd,ghp_,eyJh,sess"
  .split(",");
for (const keys of [1, 4, 6, 7, 12, 18]) {
  const secrets = heads.slice(0, keys).map((head) => `${head}0123456789abcdefghijkl`);
  compare(
    `SecretSet, ${keys} beginnings`,
    await ofEach<typeof import("../../../src/core/secret_set.ts")>("core/secret_set.ts", ({ SecretSet }) => {
      const set = new SecretSet(secrets);
      return () => set.redact(text);
    }),
  );
}
// Captures of 300 chat events that are alike, and that are not.
for (const isAlike of [true, false]) {
  const events = Array.from({ length: 300 }, (_, n) => {
    const other = isAlike ? {} : { obfuscation: "x".repeat(n % 13), n };
    const choices = [{ index: 0, delta: { content: ` word${n}` }, finish_reason: null }];
    return encoder.encode(`data: ${JSON.stringify({ id: "chatcmpl-1", ...other, model: "m", choices })}\n\n`);
  });
  const options = {
    kind: "chat",
    contentType: "text/event-stream",
    isEventStream: true,
    status: 200,
  } as const;
  const calls = await ofEach<typeof import("../../../src/capture/create.ts")>(
    "capture/create.ts",
    (module) => () => {
      const capture = module.createCapture(options);
      for (const event of events) capture.push(event);
      capture.finish(true);
    },
  );
  compare(`capture, ${isAlike ? "alike" : "unlike"}`, calls);
}
// The runtime: a loop or a call, a new buffer or a kept one.
const target = new Uint8Array(4096);
for (const length of [8, 16, 32, 64]) {
  const head = "content-length: 1234567890, and so on for as long as a head line may be".slice(0, length);
  compare(`latin1, ${length} characters`, {
    loop: () => {
      for (let at = 0; at < head.length; at++) target[at] = head.charCodeAt(at);
    },
    encodeInto: () => encoder.encodeInto(head, target.subarray(0, head.length)),
  });
}
for (const length of [128, 512, 4096]) {
  const piece = text.slice(0, length);
  compare(`UTF-8 bytes of ${length} characters`, {
    loop: () => {
      let bytes = 0;
      for (let at = 0; at < piece.length; at++) bytes += piece.charCodeAt(at) < 0x80 ? 1 : 2;
      return bytes;
    },
    encode: () => encoder.encode(piece).length,
  });
}
let slab = new Uint8Array(16_384), used = 0;
for (const length of [128, 1024, 2048, 4096]) {
  const bytes = new Uint8Array(length);
  compare(`copy of ${length} bytes`, {
    slice: () => bytes.slice(),
    slab: () => {
      if (used + length > slab.length) [slab, used] = [new Uint8Array(16_384), 0];
      slab.subarray(used, used += length).set(bytes);
    },
  });
}
for (const length of [4_096, 131_072]) {
  const spare = [new Uint8Array(length)];
  compare(`buffer of ${length} bytes`, {
    "new": () => new Uint8Array(length),
    spare: () => spare.push(spare.pop() ?? new Uint8Array(length)),
  });
}
for (const size of [32, 512, 4_096, 65_536]) {
  const pool = new Uint8Array(size);
  let taken = size;
  compare(`32 random bytes of ${size}`, {
    pool: () => {
      if (taken === size) [, taken] = [crypto.getRandomValues(pool), 0];
      taken += 32;
    },
  });
}
for (
  const [what, json] of [["{}", `[${"{},".repeat(249_999)}0]`], ["1", `[${"1,".repeat(249_999)}0]`]] as const
) {
  compare(`JSON.parse of 250,000 times ${what}`, { parse: () => JSON.parse(json) });
}
