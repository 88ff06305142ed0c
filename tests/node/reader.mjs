// The reader of event streams, by the letter of the standard (CLI-1, FAF-7).
import assert from "node:assert/strict";
import { test } from "node:test";
import { SseReader } from "../../streamerd/web/chat-client/chat-client.js";
import { frame, recordings } from "./lib.mjs";

function read(pieces) {
  const got = [];
  const reader = new SseReader({
    event: (e) => got.push([e.name, e.data, e.id]),
    retry: (ms) => got.push(["retry", ms]),
    comment: (text) => got.push(["comment", text]),
  });
  for (const p of pieces) reader.push(typeof p === "string" ? new TextEncoder().encode(p) : p);
  return got;
}

const BOM = "\uFEFF";
const cases = [
  ["one line of data", "data: a\n\n", [["message", "a", ""]]],
  ["a name and an id", "id: 1-2\nevent: x\ndata: {}\n\n", [["x", "{}", "1-2"]]],
  ["several lines of data are joined by LF", "data: a\ndata:\ndata: b\n\n", [["message", "a\n\nb", ""]]],
  ["one blank behind the colon goes, a second one stays", "data:a\n\ndata:  b\n\n", [["message", "a", ""], ["message", " b", ""]]],
  ["a field without colon has an empty value", "data\n\n", [["message", "", ""]]],
  ["no data, no event, and the name is forgotten", "event: x\n\ndata: a\n\n", [["message", "a", ""]]],
  ["the id stays until another one comes", "id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\n", [["message", "a", "1"], ["message", "b", "1"], ["message", "c", ""]]],
  ["an id of an event without data counts", "id: 7\n\ndata: a\n\n", [["message", "a", "7"]]],
  ["an id with NUL is ignored", "id: 1\nid: a\0b\ndata: a\n\n", [["message", "a", "1"]]],
  ["comments", ":\n: beat\ndata: a\n\n", [["comment", ""], ["comment", " beat"], ["message", "a", ""]]],
  ["retry, of digits alone", "retry: 1500\nretry: 1e3\nretry: -1\nretry:\n", [["retry", 1500]]],
  ["unknown fields, and names that only begin alike", "datax: 1\nDATA: 2\ndata: a\n\n", [["message", "a", ""]]],
  ["CR", "event: x\rdata: a\rdata: b\r\r", [["x", "a\nb", ""]]],
  ["CRLF", "event: x\r\ndata: a\r\ndata: b\r\n\r\n", [["x", "a\nb", ""]]],
  ["all three, mixed", "data: a\r\ndata: b\rdata: c\n\r\ndata: d\n\n", [["message", "a\nb\nc", ""], ["message", "d", ""]]],
  ["LF CR are two line ends", "data: a\n\rdata: b\r\n\n", [["message", "a", ""], ["message", "b", ""]]],
  ["a BOM at the beginning, and one that is text", BOM + "data: a\n\n" + BOM + "data: b\n\ndata: " + BOM + "c\n\n", [["message", "a", ""], ["message", BOM + "c", ""]]],
  ["UTF-8 of all lengths", "data: aé€🙂\n\n", [["message", "aé€🙂", ""]]],
  ["what is no UTF-8 is replaced", [Uint8Array.of(100, 97, 116, 97, 58, 0xff, 10, 10)], [["message", "\uFFFD", ""]]],
  ["half an event at the end is none", "data: a\n\ndata: b\n", [["message", "a", ""]]],
  ["nor is half a line", "data: a\n\ndata: b", [["message", "a", ""]]],
];

for (const [name, given, wanted] of cases) {
  test(name + ", whole and split at every byte (CLI-1)", () => {
    const bytes = typeof given === "string" ? new TextEncoder().encode(given) : given[0];
    assert.deepEqual(read([bytes]), wanted);
    assert.deepEqual(read([...bytes].map((b) => Uint8Array.of(b))), wanted);
    for (let at = 0; at <= bytes.length; at++) assert.deepEqual(read([bytes.slice(0, at), new Uint8Array(0), bytes.slice(at)]), wanted, "split at " + at);
  });
}

test("recorded streams split at every byte, and in pieces of 1, 3 and 1448 (CLI-1)", () => {
  for (const { events } of recordings()) {
    const few = events.slice(0, 40);
    const wanted = few.map((e) => [e.name, JSON.stringify(e.data), e.data.generation + "-" + e.data.seq]);
    const bytes = new TextEncoder().encode(few.map(frame).join(":\n\n"));
    const without = (pieces) => read(pieces).filter((e) => e[0] !== "comment");
    for (const size of [1, 3, 1448]) {
      const pieces = [];
      for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.slice(at, at + size));
      assert.deepEqual(without(pieces), wanted);
    }
    const part = bytes.slice(0, 1500);
    const whole = without([part]);
    for (let at = 0; at <= part.length; at++) assert.deepEqual(without([part.slice(0, at), part.slice(at)]), whole);
  }
});

test("a large line in small pieces is not quadratic (CLI-1)", () => {
  const piece = new TextEncoder().encode("x".repeat(4096));
  const began = Date.now();
  const got = read(["data: ", ...Array(4096).fill(piece), "\n\n"]);
  assert.equal(got[0][1].length, 16 * 1024 * 1024);
  assert.ok(Date.now() - began < 10000);
});

test("an event beyond all bounds is an error, not all the memory (CLI-1)", () => {
  const piece = new Uint8Array(1024 * 1024).fill(120);
  assert.throws(() => read(["data: ", ...Array(65).fill(piece)]), /too large/);
});
