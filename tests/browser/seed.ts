/**
 * A database with a month of traffic, most of it from the last minutes: 3,000 requests, of which the second upstream fails half
 * and the third all.
 */
import { DatabaseSync } from "node:sqlite";
import type { Attempt, RequestRecord } from "../../src/core/types.ts";
import { runProgram, TEST_TOKEN } from "../support/router.ts";
import { makeRecord, makeSession } from "../unit/store/support.ts";

/** A folder with the database; the caller removes it. */
export async function seedTraffic(upstreams: readonly { name: string; endpoint: string }[]): Promise<string> {
  const directory = await Deno.makeTempDir({ prefix: "oar-browser-" });
  await runProgram(["token", "set", TEST_TOKEN], { cwd: directory });
  const path = `${directory}/db.sqlite`;
  const db = new DatabaseSync(path);
  const insert = db.prepare("INSERT INTO openai_upstreams(sk, endpoint, name) VALUES(?, ?, ?)");
  for (const { name, endpoint } of upstreams) insert.run(`sk-${name}-0123456789abcdef`, endpoint, name);
  addToken(db);
  db.close();
  const session = makeSession(path);
  session.write(traffic(Date.now()));
  while (session.count());
  while (session.index());
  session.close();
  return directory;
}

/** With everything that a token may have. */
function addToken(db: DatabaseSync): void {
  const day = new Date().toISOString().slice(0, 10);
  db.prepare(
    `INSERT INTO client_tokens(name, sha256, hint, allow, deny, upstreams, rpm, tpm, max_parallel, budget_usd,
      budget_period, gate, expires_at, created_at)
      VALUES ('editor', ?, 'sk-…f3aQ', 'gpt-*,claude-*', '*-preview', '1', 60, 200000, 8, '20', 'month', 'whole',
        '2099-01-31 00:00:00+00:00', '2026-01-31 00:00:00+00:00')`,
  ).run("0".repeat(64));
  db.prepare("INSERT INTO token_spend(token_id, day, source, cost_nano, requests) VALUES (1, ?, '', ?, 900)")
    .run(day, 17_250_000_000);
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** Oldest first. */
function traffic(nowMs: number): RequestRecord[] {
  const random = seededRandom(20_261_126);
  const moments = [
    ...Array.from({ length: 800 }, () => random() * 30 * 24 * HOUR),
    ...Array.from({ length: 900 }, () => random() * 24 * HOUR),
    ...Array.from({ length: 1_296 }, () => random() ** 1.4 * 15 * MINUTE),
  ].toSorted((a, b) => b - a);
  return [
    ...moments.map((agoMs) => oneRequest(nowMs - agoMs - 5_000, random)),
    longCallRequest(nowMs - 4_400),
    failedRequest(nowMs - 4_200),
    formattedRequest(nowMs - 4_100),
    weatherRequest(nowMs - 4_000),
  ];
}

const QUESTIONS = [
  "Where does the Tuul river come from?",
  "Write a haiku about the first snow in Khentii.",
  "Summarise the attached minutes in three sentences.",
  "How do I undo the last commit without losing my changes?",
  "用一句话介绍一下图拉河。",
];
const ANSWERS = [
  "The Tuul rises in the Khan Khentii mountains, north-east of Ulaanbaatar, and flows west past the city.",
  "Snow before dawn falls;\nthe larches keep their counsel.\nA fox leaves its name.",
  "The budget was approved. The release moves to March. Anna will write to the suppliers before Friday.",
  "Use `git reset --soft HEAD~1`: the commit goes, your changes stay staged.",
  "图拉河发源于肯特山，流经乌兰巴托，最后汇入鄂尔浑河。",
];
const MODELS = ["gpt-4o", "gpt-4o-mini", "claude-sonnet-4-5", "deepseek-chat"];
const CLIENTS = ["notebook", "editor", "nightly-job"];
/** Of one token of the request and of the reply, in 1e-9 US dollars; the last model has no price. */
const RATES: Readonly<Record<string, readonly [input: number, output: number]>> = {
  "gpt-4o": [2_500, 10_000],
  "gpt-4o-mini": [150, 600],
  "claude-sonnet-4-5": [3_000, 15_000],
};

interface SeededUpstream {
  readonly id: number;
  readonly name: string;
  /** The share of its attempts that fail. */
  readonly failing: number;
}

const WELL: SeededUpstream = { id: 1, name: "openai", failing: 0 };
const HALF_FAILING: SeededUpstream = { id: 2, name: "azure-east", failing: 0.5 };
const FAILING: SeededUpstream = { id: 3, name: "deepseek", failing: 1 };

function oneRequest(createdAtMs: number, random: () => number): RequestRecord {
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
  const topic = Math.floor(random() * QUESTIONS.length);
  const model = pick(MODELS);
  const firstTokenMs = 180 + random() ** 3 * 1_800;
  const elapsedMs = firstTokenMs + 300 + random() ** 2 * 6_000;
  const tried = random();
  const first: SeededUpstream = tried < 0.6 ? WELL : tried < 0.9 ? HALF_FAILING : FAILING;
  const hasFailedOver = random() < first.failing;
  const last = hasFailedOver ? WELL : first;
  const isLost = random() < 0.02;
  const attempts: Attempt[] = [
    ...(hasFailedOver ? [failedAttempt(createdAtMs, first)] : []),
    {
      index: hasFailedOver ? 2 : 1,
      upstreamId: last.id,
      upstreamName: last.name,
      startedAtMs: createdAtMs + (hasFailedOver ? 95 : 3),
      durationMs: elapsedMs - 95,
      status: isLost ? 502 : 200,
      errorClass: isLost ? "http_status" : null,
      message: isLost ? "HTTP 502: Bad Gateway" : null,
      partial: null,
      keyN: null,
      isChanged: false,
    },
  ];
  const messages = [{ role: "user", content: QUESTIONS[topic] }];
  const inputTokens = 20 + Math.floor(random() * 2_000);
  const outputTokens = 30 + Math.floor(random() * 600);
  const rates = RATES[model];
  return makeRecord({
    createdAtMs,
    model,
    costNano: isLost || rates === undefined ? null : inputTokens * rates[0] + outputTokens * rates[1],
    // An upstream that counts nothing.
    areTokensEstimated: last === HALF_FAILING && !isLost,
    body: JSON.stringify({ model, stream: true, messages }),
    response: isLost ? '{"error":{"message":"Bad Gateway"}}' : ANSWERS[topic] ?? "",
    responseModel: model,
    usage: {
      inputTokens,
      outputTokens,
      cachedTokens: null,
      reasoningTokens: null,
    },
    elapsedMs,
    firstByteMs: firstTokenMs - 20,
    firstTokenMs: isLost ? null : firstTokenMs,
    status: isLost ? 502 : 200,
    outcome: isLost ? "upstream_error" : "complete",
    upstreamId: isLost ? null : last.id,
    attempts,
    client: pick(CLIENTS),
    error: isLost ? "HTTP 502: Bad Gateway" : null,
  });
}

function failedAttempt(createdAtMs: number, { id, name }: SeededUpstream = HALF_FAILING): Attempt {
  return {
    index: 1,
    upstreamId: id,
    upstreamName: name,
    startedAtMs: createdAtMs + 3,
    durationMs: 90,
    status: 503,
    errorClass: "http_status",
    message: "HTTP 503: The engine is currently overloaded, please try again later",
    partial: null,
    keyN: null,
    isChanged: false,
  };
}

/** A reply with everything that Markdown has. */
function formattedRequest(createdAtMs: number): RequestRecord {
  const code = Array.from({ length: 80 }, (_, line) => `print("line ${line + 1}")`).join("\n");
  return makeRecord({
    createdAtMs,
    model: "claude-sonnet-4-5",
    body: JSON.stringify({
      model: "claude-sonnet-4-5",
      messages: [{
        role: "user",
        content: "How do I sort a list in Python, and how fast is that?\nPlease with a table.",
      }],
    }),
    response: [
      "## Sorting in Python",
      "Use `sorted()` for a **new** list, or `list.sort()` *in place*:",
      "```python\nnumbers = [3, 1, 2]\nprint(sorted(numbers))  # [1, 2, 3]\n```",
      "1. `key=` takes a function\n2. `reverse=True` turns the order round\n   - both are stable",
      "| function | returns | time |\n|:--|:--|--:|\n| `sorted(x)` | a new list | O(n log n) |\n" +
      "| `x.sort()` | `None` | O(n log n) |",
      "> See the [documentation](https://docs.python.org/3/howto/sorting.html).",
      "图片：![plot](https://example.com/plot.png) ![dot](data:image/png;base64," + PICTURE + ")",
      `\`\`\`python\n${code}\n\`\`\``,
      "<script>alert(1)</script> stays text, [so does this](javascript:alert(1)).",
    ].join("\n\n"),
    upstreamId: 1,
    client: "editor",
    attempts: [],
  });
}

function failedRequest(createdAtMs: number): RequestRecord {
  return makeRecord({
    createdAtMs,
    model: "gpt-4o-2024-11-20-with-quite-a-long-name-of-a-deployment",
    body: JSON.stringify({ model: "gpt-4o", messages: [{ role: "user", content: "Are you there?" }] }),
    response:
      '{"error":{"message":"Rate limit reached for requests per minute","type":"rate_limit_error","code":"rate_limited"}}',
    status: 429,
    outcome: "upstream_error",
    error: "HTTP 429: Rate limit reached for requests per minute",
    upstreamId: null,
    attempts: [failedAttempt(createdAtMs)],
    client: "nightly-job",
  });
}

function longCallRequest(createdAtMs: number): RequestRecord {
  const args = JSON.stringify({
    query: "weather in Ulaanbaatar",
    sources: Array.from({ length: 12 }, (_, n) => `site-${n}`),
  });
  return makeRecord({
    createdAtMs,
    body: JSON.stringify({ model: "gpt-4o", messages: [{ role: "user", content: "查一下乌兰巴托的天气" }] }),
    response: "",
    toolCalls: [{ id: "call_1", name: "get_weather", arguments: '{"city":"Paris"}' }, {
      id: "call_2",
      name: "search_web",
      arguments: args,
    }],
    upstreamId: 1,
    attempts: [],
    outcome: "upstream_cut",
    status: 200,
    client: "notebook",
  });
}

/** A sun over a field. */
const PICTURE = [
  "iVBORw0KGgoAAAANSUhEUgAAAKAAAABaCAIAAACwpMoFAAABNElEQVR42u3bQQ1CQRBEwXHABU3I4UjQgEyMgANCCPC3+1fy",
  "FHQdZ3cOl7OKGxMAFmABFmABFmABBizAAizAAizAAgy4r8f99n6AO13rpYdrt/TQ7TYetN3MQ7fbeNB2Mw/dbuOh2208dLuN",
  "h263MWDAdJONh263MWDAdJONh263MWDAgAHvWXdxY8CAAQPeue7KxoABAwYMGDBgwIABAwYMGDBgwIABAwYMGDBgwIABuwe7",
  "BwMGDBiwV5WAAQMG7G8S3XeBr6fj+i2ru/50gAEzjtVNAl7NOGU0wIAZx+rmAa9gnDVXHvC2xnFbRQJvZZw4VCrwn5lzJ8oG",
  "/o9x9D7xwD9lLlimBPgXxh2z9AB/S7psjULgz6RbR2gGFmDAAizAAizAAizAgAVYgAVYgAVYL3sCKi5lgx2a+ZUAAAAASUVO",
  "RK5CYII=",
].join("");

/** The newest record: a conversation with every kind of content. */
function weatherRequest(createdAtMs: number): RequestRecord {
  const call = { name: "get_weather", arguments: '{"city":"Ulaanbaatar","units":"metric"}' };
  const picture = `data:image/png;base64,${PICTURE}`;
  return makeRecord({
    createdAtMs,
    body: JSON.stringify({
      model: "gpt-4o",
      stream: true,
      temperature: 0.3,
      tools: [{ type: "function", function: { name: "get_weather" } }, {
        type: "function",
        function: { name: "search_web" },
      }],
      messages: [
        { role: "system", content: "You are a careful travel assistant. Ask the tools about the weather." },
        {
          role: "user",
          content: [
            { type: "text", text: "Is it cold in Ulaanbaatar, and was this taken there? 冬天需要穿什么？" },
            { type: "image_url", image_url: { url: picture } },
          ],
        },
        {
          role: "assistant",
          reasoning_content: "The weather first; the picture shows a square with a statue on a horse.",
          content: "",
          tool_calls: [{ id: "call_9f2", type: "function", function: call }],
        },
        { role: "tool", tool_call_id: "call_9f2", content: '{"temp_c": -18, "sky": "clear", "wind_kmh": 9}' },
      ],
    }),
    reasoning: "It is cold. The statue is Damdin Sükhbaatar's, so the square is the one named after him.",
    response: "Yes: -18 °C under a clear sky, with a light wind.\n\n" +
      "The picture shows Sükhbaatar Square, in the middle of the city. 请穿羽绒服、保暖内衣和防滑的靴子。",
    usage: { inputTokens: 1_231, outputTokens: 142, cachedTokens: 1_024, reasoningTokens: 48 },
    elapsedMs: 2_840,
    firstByteMs: 310,
    firstTokenMs: 420,
    upstreamId: 1,
    attempts: [failedAttempt(createdAtMs), {
      index: 2,
      upstreamId: 1,
      upstreamName: "openai",
      startedAtMs: createdAtMs + 95,
      durationMs: 2_745,
      status: 200,
      errorClass: null,
      message: null,
      partial: null,
      keyN: null,
      isChanged: false,
    }],
    client: "notebook",
    userAgent: "OpenAI/JS 7.57.0",
    requestBytes: 44_512,
    responseBytes: 6_310,
  });
}

/** The same numbers in every run (https://en.wikipedia.org/wiki/Linear_congruential_generator). */
function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32;
    return state / 2 ** 32;
  };
}
