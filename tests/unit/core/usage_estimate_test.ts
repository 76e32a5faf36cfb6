import assert from "node:assert/strict";
import { estimatedUsage, requestTokens, tokensOf } from "../../../src/core/usage_estimate.ts";

/** Counted with the table `o200k_base`. */
const COUNTED: readonly (readonly [name: string, text: string, tokens: number])[] = [
  ["English", "It was the best of times, it was the worst of times, it was the age of wisdom.", 21],
  [
    "German",
    "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft und Gewissen begabt und sollen einander im Geiste der Brüderlichkeit begegnen. Jeder hat Anspruch auf alle in dieser Erklärung verkündeten Rechte und Freiheiten, ohne irgendeinen Unterschied.",
    61,
  ],
  [
    "Chinese",
    "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。人人有资格享有本宣言所载的一切权利和自由。",
    52,
  ],
  [
    "Japanese",
    "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。人間は、理性と良心とを授けられており、互いに同胞の精神をもって行動しなければならない。",
    72,
  ],
  [
    "Korean",
    "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. 인간은 천부적으로 이성과 양심을 부여받았으며 서로 형제애의 정신으로 행동하여야 한다.",
    51,
  ],
  [
    "Russian",
    "Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены разумом и совестью и должны поступать в отношении друг друга в духе братства.",
    41,
  ],
];

Deno.test("tokensOf() is within a quarter of what a tokenizer counts, in several scripts", () => {
  for (const [name, text, tokens] of COUNTED) {
    const share = tokensOf(text) / tokens;
    assert.ok(share > 0.75 && share < 1.25, `${name}: ${tokensOf(text)} instead of ${tokens}`);
  }
  assert.equal(tokensOf(""), 0);
});

const chat = (content: unknown) => JSON.stringify({ model: "gpt-5", messages: [{ role: "user", content }] });

Deno.test("requestTokens() counts texts, not images, nor the names of fields around them", () => {
  const image = `data:image/png;base64,${"iVBORw0KGgoAAAANSUhEUgAA/+".repeat(20_000)}`;
  const words = "What is in this picture? ";
  const plain = requestTokens(chat(words.repeat(10)));
  const withImage = requestTokens(
    chat([{ type: "text", text: words.repeat(10) }, { type: "image_url", image_url: { url: image } }]),
  );
  assert.ok(withImage < plain + 40, `${withImage} and ${plain}`);
  const { pathname } = new URL("https://x/");
  assert.ok(requestTokens(chat(pathname)) < 12);
  assert.equal(requestTokens('{"input":[[1212,318],[257,1332]]}'), 4);
  assert.equal(requestTokens(chat("a\nb")), requestTokens(chat("a\u000ab")));
  // Escapes are the characters that they stand for.
  assert.equal(requestTokens('{"input":"\\u4eba\\u4eba\\u751f"}'), requestTokens('{"input":"人人生"}'));
});

Deno.test("words that are joined are no image", () => {
  for (const joint of ["_", "-", ""]) {
    const word = joint === "" ? "Translate" : "translate";
    const text = `${word}${joint}`.repeat(5_000);
    assert.ok(requestTokens(chat(text)) > 5_000, joint);
  }
});

Deno.test("requestTokens() takes anything, and time linear in it", () => {
  for (const body of ["", "{", '{"a', '{"a\\', '{"\\u', '{"\\u12', "[[[", '"', "}{", "\u0000", "\ud800"]) {
    assert.ok(Number.isFinite(requestTokens(body)), body);
  }
  const large = requestTokens(`{"input":"${"word ".repeat(2_000_000)}"}`);
  assert.ok(large > 1_900_000 && large < 2_100_000, String(large));
});

Deno.test("estimatedUsage() gives counts for texts only", () => {
  const reply = { text: "Hello world", reasoning: "Let me think", toolCalls: [] };
  const usage = estimatedUsage({ kind: "chat", request: chat("hi"), reply });
  assert.deepEqual([usage?.outputTokens, usage?.reasoningTokens, usage?.cachedTokens], [5, 3, null]);
  assert.equal(estimatedUsage({ kind: "chat", request: null, reply })?.inputTokens, null);
  assert.equal(estimatedUsage({ kind: "embeddings", request: chat("hi"), reply })?.outputTokens, null);
  assert.equal(estimatedUsage({ kind: "images", request: chat("hi"), reply }), null);
  const call = { id: null, name: "get_weather", arguments: '{"city":"Paris"}' };
  const called = estimatedUsage({
    kind: "chat",
    request: null,
    reply: { text: "", reasoning: "", toolCalls: [call] },
  });
  assert.ok((called?.outputTokens ?? 0) >= 5);
});
