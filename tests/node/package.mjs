// The package as somebody gets it: what is in it, that its types are right, that its example runs (CLI-1). Needs npm's packages (NODE_MODULES)
// and a server (BASE_URL).
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { hasCrypto, here } from "./lib.mjs";

const source = join(here, "..", "..", "streamerd", "web", "chat-client");
const modules = process.env.NODE_MODULES;
const app = mkdtempSync(join(tmpdir(), "chatd-client-"));
after(() => rmSync(app, { recursive: true }));

// An application that installed the package from its tarball.
const packed = JSON.parse(execFileSync("npm", ["pack", "--json", "--offline", "--ignore-scripts", "--pack-destination", app], { cwd: source, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }))[0];
execFileSync("mkdir", ["-p", join(app, "node_modules", "chatd-client"), join(app, "node_modules", "@types")]);
execFileSync("tar", ["xzf", join(app, packed.filename), "--strip-components=1", "-C", join(app, "node_modules", "chatd-client")]);
for (const name of ["react", join("@types", "react"), "csstype"]) symlinkSync(join(modules, name), join(app, "node_modules", name));
writeFileSync(join(app, "package.json"), '{"type": "module"}');

const isOurs = (name) => !name.includes("node_modules");

test("the package holds its files and nothing else, and names no dependency (CLI-1)", () => {
  const names = packed.files.map((f) => f.path).sort();
  assert.deepEqual(names, [...readdirSync(source)].filter(isOurs).sort());
  assert.deepEqual(names, ["README.md", "chat-client.d.ts", "chat-client.js", "chat-state.js", "chat-stream.js", "chat-tabs.js", "chat-view.js", "package.json", "use-chat.d.ts", "use-chat.js"]);
  const about = JSON.parse(readFileSync(join(source, "package.json")));
  assert.equal(about.dependencies, undefined);
  for (const name of names.filter((n) => n.startsWith("chat-") && n.endsWith(".js"))) {
    const imports = [...readFileSync(join(source, name), "utf8").matchAll(/^(?:import|export)\b.*?\bfrom "(.*)"/gm)].map((m) => m[1]);
    for (const from of imports) assert.match(from, /^\.\/chat-\w+\.js$/, name);
  }
});

function check(file, text) {
  writeFileSync(join(app, file), text);
  writeFileSync(join(app, "tsconfig.json"), JSON.stringify({ files: [file], compilerOptions: {
    noEmit: true, strict: true, target: "es2022", module: "nodenext", jsx: "react-jsx", lib: ["es2022", "dom"], types: [], skipLibCheck: false } }));
  return spawnSync(process.execPath, [join(modules, "typescript", "bin", "tsc"), "-p", "."], { cwd: app, encoding: "utf8" });
}

test("the types say what is so, and refuse what is not (CLI-1)", () => {
  const good = check("good.tsx", `
    import { ChatClient, ChatError, reduce, initialState, runningAnswer, backoff, SseReader, Text, plainText, prepend, eventNames } from "chatd-client";
    import type { Entry, Connection, Prompt } from "chatd-client";
    import { useChat } from "chatd-client/use-chat";
    const client = new ChatClient({ baseUrl: "http://x", token: async () => "t", share: "me", heartbeatTimeout: 1 });
    const show = (e: Entry): string => e.kind === "user" ? plainText(e.content) : e.kind === "note" ? e.text : e.content.toString() + e.tools.length;
    const words = (c: Connection) => c.state === "gone" ? c.error?.code : c.retryIn;
    export async function main(p: Prompt) {
      const a = await client.send({ content: [{ type: "text", text: "x" }], on_busy: "interrupt" }, { onRetry: (r) => r.retryIn.toFixed() });
      const view = client.view(a.session_id);
      const leave = view.subscribe(({ chat, connection }) => void [chat.entries.map(show), words(connection), runningAnswer(chat)?.content.since(new Text())]);
      await view.resolve(p.id, p.kind === "ask_user" ? { answers: { q: ["a"] } } : { allow: true, remember: "session" });
      try { (await view.done(a.turn_id)).usage?.input_tokens; } catch (e) { if (e instanceof ChatError) e.details.field; }
      leave();
      const state = reduce(initialState("s"), { name: eventNames[0], data: { session_id: "s", turn_id: null, generation: 1, seq: 1, ts: "" } });
      for (const s of (await client.listSessions()).sessions) if (s.last_turn === "error") show(state.entries[0]);
      prepend(state, (await client.getMessages("s", { limit: 1 })).messages);
      new SseReader({ event: (f) => f.data.length }).push(new Uint8Array([backoff(0, 0)]));
    }
    export function Chat() {
      const { messages, sendMessage, stop, status, notice, notes, prompts, resolve } = useChat({ client, onSession: (id) => { id.length; } });
      return <main data-busy={status === "streaming"}>{notice?.message}{notes.map((n) => n.code + n.text)}{messages.map((m) => <p key={m.id} title={m.refusal ?? ""}>{m.parts.map((p) => p.type === "text" ? p.text : p.type === "tool" ? p.tool.name + (p.tool.at ?? 0).toFixed() + (p.tool.duration_ms ?? 0).toFixed() : "")}</p>)}
        <button onClick={() => stop()}/><button onClick={() => sendMessage({ text: "hi" })}/>{prompts.map((p) => <i key={p.id} onClick={() => resolve(p.id, { allow: false })}/>)}</main>;
    }`);
  assert.equal(good.stdout + good.stderr, "");
  const bad = check("bad.ts", `
    import { ChatClient, initialState } from "chatd-client";
    const client = new ChatClient();
    client.send({});
    client.send({ content: "x", on_busy: "maybe" });
    client.resolve("s", "p", { allow: true, remember: "ever" });
    initialState().entries.push();
    client.view("s").getState().connection.state === "lost";
    client.lines;`);
  assert.deepEqual([...bad.stdout.matchAll(/^bad\.ts\((\d+),/gm)].map((m) => m[1]), ["4", "5", "6", "7", "8", "9"]);
});

test("what the types name is there, and what is there is named (CLI-1)", async () => {
  const module = await import(join(source, "chat-client.js"));
  const types = readFileSync(join(source, "chat-client.d.ts"), "utf8");
  assert.deepEqual(Object.keys(module).sort(), [...types.matchAll(/^export (?:class|function|const) (\w+)/gm)].map((m) => m[1]).sort());
});

test("the README's example runs as it stands (CLI-1)", { skip: !process.env.BASE_URL ? "no server" : hasCrypto ? false : "this node has no global crypto, which the client needs: node 20 has" }, () => {
  const text = readFileSync(join(source, "README.md"), "utf8").match(/```js\n([^]*?)```/)[1];
  assert.ok(text.trim().split("\n").length <= 10);
  writeFileSync(join(app, "example.js"), text.replace("http://127.0.0.1:8080", process.env.BASE_URL));
  const ran = spawnSync(process.execPath, ["example.js"], { cwd: app, encoding: "utf8", timeout: 60000 });
  assert.equal(ran.stderr, "");
  assert.match(ran.stdout, /^connecting empty 0\nlive empty 0\n[^]*live idle \d+\n[^]*Hello!/);
  assert.equal(ran.status, 0);
});
