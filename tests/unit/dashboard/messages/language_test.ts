import assert from "node:assert/strict";
import { chooseLanguage } from "../../../../src/dashboard/messages/language.ts";
import { en } from "../../../../src/dashboard/messages/en.ts";
import { zh } from "../../../../src/dashboard/messages/zh.ts";

for (
  const [header, language] of [
    [undefined, "en"],
    ["", "en"],
    ["zh-CN,zh;q=0.9,en;q=0.8", "zh-Hans"],
    ["en-GB,en;q=0.9,zh;q=0.8", "en"],
    ["fr-FR,fr;q=0.9,zh;q=0.4,en;q=0.3", "zh-Hans"],
    ["fr-FR,de;q=0.5", "en"],
    ["zh;q=0,en;q=0.1", "en"],
    ["ZH-tw", "zh-Hans"],
    ["*", "en"],
    ["zhuang", "en"],
    ["zh;q=nonsense, en", "en"],
  ] as const
) {
  Deno.test(`Accept-Language ${header} gets ${language}`, () => {
    assert.equal(chooseLanguage(header).messages.language, language);
  });
}

Deno.test("no text of a language is empty, and both languages have the same texts", () => {
  assert.deepEqual(shape(zh), shape(en));
});

/** Names, and whether each is a text or a function. */
function shape(messages: object): unknown {
  return Object.fromEntries(
    Object.entries(messages).map(([name, value]) => {
      if (typeof value === "object") return [name, shape(value)];
      if (typeof value === "string") assert.notEqual(value.trim(), "", name);
      return [name, typeof value];
    }).toSorted(),
  );
}

Deno.test("numbers are formatted by the rules of the language", () => {
  const { format } = chooseLanguage("en");
  const chinese = chooseLanguage("zh").format;
  assert.deepEqual([null, 999, 9_999, 12_345, 3_456_789].map(format.short), [
    "–",
    "999",
    "9,999",
    "12.3K",
    "3.46M",
  ]);
  assert.deepEqual([12_345, 345_678_901].map(chinese.short), ["1.23万", "3.46亿"]);
  assert.deepEqual([null, 0.4, 999.4, 1_000, 59_994, 125_000].map(format.duration), [
    "–",
    "0 ms",
    "999 ms",
    "1.00 s",
    "59.99 s",
    "2 min 5 s",
  ]);
  assert.equal(chinese.duration(125_000), "2 分 5 秒");
  assert.deepEqual([null, 999, 12_345, 2_000_000].map(format.bytes), ["–", "999 B", "12.3 KB", "2.0 MB"]);
  assert.deepEqual([null, 0, 0.0071, 1].map(format.percent), ["–", "0%", "0.7%", "100%"]);
});
