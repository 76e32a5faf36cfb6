import assert from "node:assert/strict";
import {
  beginsLikeEvents,
  EventStreamSniffer,
  isEventStream,
  isJson,
  mediaTypeOf,
} from "../../../src/core/body_form.ts";

const BOM = "\ufeff";

/** null: so far, it may be the beginning of either. */
const BEGINNINGS: readonly (readonly [body: string, isStream: boolean | null])[] = [
  ["data: {}\n\n", true],
  ["data:{}", true],
  ["event: message_start\n", true],
  ["id: 1\n", true],
  ["retry: 3000\n\n", true],
  [": keep-alive\n\n", true],
  [":", true],
  [`${BOM}data: {}`, true],
  [`${BOM}\r\n\ndata: {}`, true],
  ["\n\r\n\revent: x", true],
  ["", null],
  ["\r\n\n", null],
  [BOM, null],
  ["dat", null],
  ["retry", null],
  ["event", null],
  // One mark only, and only at the start.
  [`${BOM}${BOM}data: {}`, false],
  [`\n${BOM}data: {}`, false],
  // A blank belongs to the name of the field.
  [" data: {}", false],
  ["\tevent: x", false],
  ["data : {}", false],
  ["DATA: {}", false],
  ["data\n", false],
  ["date: today", false],
  ["eventually", false],
  ["identity: x", false],
  ["database: x", false],
  ['{"id":"data:"}', false],
  ["[1]", false],
  ["<!doctype html>", false],
  ["\u00efdata:", false],
];

Deno.test("a body begins like an event stream, or not, however it is cut into pieces", () => {
  const encoder = new TextEncoder();
  for (const [body, isStream] of BEGINNINGS) {
    const bytes = encoder.encode(body);
    assert.equal(beginsLikeEvents(bytes), isStream ?? false, JSON.stringify(body));
    for (let cut = 0; cut <= bytes.length; cut++) {
      const sniffer = new EventStreamSniffer();
      const seen = sniffer.push(bytes.subarray(0, cut)) ?? sniffer.push(bytes.subarray(cut));
      assert.equal(seen, isStream, `${JSON.stringify(body)}, cut at ${cut}`);
    }
  }
});

Deno.test("labels of event streams and JSON", () => {
  const labels: readonly (readonly [label: string | null, mediaType: string, form: string])[] = [
    [null, "", "other"],
    ["", "", "other"],
    ["text/event-stream", "text/event-stream", "events"],
    ["  Text/Event-Stream;charset=utf-8", "text/event-stream", "events"],
    ["text/event-streams", "text/event-streams", "other"],
    ["application/json; charset=utf-8", "application/json", "json"],
    ["application/problem+json", "application/problem+json", "json"],
    ["application/jsonl", "application/jsonl", "other"],
    ["text/json", "text/json", "other"],
  ];
  for (const [label, mediaType, form] of labels) {
    assert.equal(mediaTypeOf(label), mediaType, String(label));
    assert.equal(isEventStream(label) ? "events" : isJson(label) ? "json" : "other", form, String(label));
  }
});
