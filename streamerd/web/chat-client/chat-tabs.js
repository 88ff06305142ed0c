// Where views get their frames from: a stream each (Own), or one for all tabs of a browser (Shared),
// which allows no more than six connections to a host.
//
//	tab --want--> leader: one stream --frames, state--> every tab --> its views
//
// The leader is who holds a Web Lock; it ends with its tab, and the browser gives it to the next one.
// Tabs speak over a BroadcastChannel. Nobody has to remember what a tab got: each view has its
// cursor, says it to a new leader, and its reducer drops what comes twice. So a leader may die at
// any moment, and frames may come from two of them.
//
//	want  {tab, sessions: all it shows, from: {session: cursor or null} of those that begin, changes: word of any other}
//	lead  {tab}                 a new leader: everybody says what it wants, with all cursors
//	frames {frames: [[session, name, data]]}
//	state {connection, changes} of the leader's stream, and does it tell of changes; also said again to who is new
//	changed                     something did, in whichever session
//	gone  {session, error}      that session is not to be had
//	beat                        the leader lives
//	wake  {isNew}               somebody looks again, or the network changed
//	bye   {tab}
//
// A leader that a browser froze with its tab beats no more: whoever misses it takes the lock from it.
// A browser that refuses locks or the channel (storage forbidden for this site) leaves a tab on its own.
import { ChatError, connection } from "./chat-stream.js";

const MAX_SESSIONS = 200; // their ids and cursors in one request; a browser shows a handful
const GATHER_MS = 10; // what tabs want is gathered for so long before the stream is opened anew
const LEAVE_MS = 5000; // a session that nobody wants any more may stay on the stream for so long
const BEAT_MS = 5000; // at most so often, and at least at each of the server's heartbeats
const WAKE_MS = 1000; // a changed network is told by everybody at once
const HOLE_MS = 1000; // before a snapshot is asked for, for a view that can't go on

const single = (id, cursor) =>
  "/v1/sessions/" + encodeURIComponent(id) + "/events" + (cursor ? "?last_event_id=" + encodeURIComponent(cursor) : "");

// A stream for each view.
export class Own {
  #client;

  constructor(client) {
    this.#client = client;
  }

  // view: {id, cursor(), frames(list), change(connection)}
  attach(view) {
    const stream = this.#client.stream({
      url: () => single(view.id, view.cursor()),
      frames: (list) => view.frames(list),
      change: (c) => view.change(c),
    });
    stream.open();
    return { again: () => stream.open(), wake: (isNew) => stream.wake(isNew), detach: () => stream.close() };
  }

  // Would cost a connection of its own: not told.
  watch(watcher) {
    watcher.change(connection("closed"));
    return { wake() {}, detach() {} };
  }
}

const seqOf = (cursor) => (cursor ? Number(cursor.slice(cursor.indexOf("-") + 1)) : 0);

const packError = (e) => e && { status: e.status, code: e.code, message: e.message, details: e.details, retryAfter: e.retryAfter };

function unpackError(e) {
  return e && Object.assign(new ChatError(e.status, e.code, e.message, e.details), { retryAfter: e.retryAfter });
}

// Whose a frame is. The server puts it first; anything else is read whole. Throws if it does not say.
function sessionOf(data) {
  const found = /^\{"session_id":"([^"\\]+)"/.exec(data);
  const session = found ? found[1] : JSON.parse(data).session_id;
  if (typeof session !== "string") throw new Error("a frame of no session");
  return session;
}

// What only the leader has: what each tab wants, how far the stream is, and the stream.
class Leader {
  #env;
  #tell;
  #stream;
  #tabs = new Map(); // tab → {sessions, changes}: what it wants
  #hasChanges = false; // does the stream tell of them?
  #at = new Map(); // session on the stream → cursor of the last that came of it, or null
  #need = new Map(); // session → {cursor, isAsked}: somebody needs what comes behind that, null: a snapshot
  #dead = new Set(); // sessions that are wanted and not to be had
  #timer = null;
  #dueAt = Infinity;
  #wokenAt = -Infinity;
  #beatAt = -Infinity;
  #beat = null;

  constructor(client, env, tell) {
    this.#env = env;
    this.#tell = tell;
    this.#stream = client.stream({
      url: () => this.#url(),
      headers: () => this.#headers(),
      frames: (list) => this.#frames(list),
      change: (c) => this.#change(c),
      heard: () => this.#sayBeat(),
    });
    this.#tick();
  }

  stop() {
    this.#env.clearTimeout(this.#timer);
    this.#env.clearTimeout(this.#beat);
    this.#tell = () => {};
    this.#stream.close();
  }

  want({ tab, sessions, from, changes = false }) {
    this.#tabs.set(tab, { sessions, changes });
    let isBehind = changes && !this.#hasChanges;
    for (const [id, cursor] of Object.entries(from)) {
      const isOn = this.#at.has(id) && !this.#dead.has(id);
      if (isOn && cursor && seqOf(cursor) >= seqOf(this.#at.get(id))) continue;
      const needed = isOn && this.#need.get(id);
      if (!needed || needed.isAsked || seqOf(cursor) < seqOf(needed.cursor)) this.#need.set(id, { cursor, isAsked: false });
      this.#dead.delete(id);
      if (!isOn) this.#at.set(id, cursor);
      isBehind = true;
    }
    if (isBehind || this.#stream.connection.state === "gone") this.#openIn(GATHER_MS);
    else this.#tell(this.#stateNow());
    this.#prune();
  }

  leave(tab) {
    this.#tabs.delete(tab);
    this.#prune();
  }

  wake(isNew) {
    if (isNew && this.#env.now() - this.#wokenAt < WAKE_MS) return; // every view of every tab says so
    if (isNew) this.#wokenAt = this.#env.now();
    if (this.#isNeeded()) this.#stream.wake(isNew);
  }

  // Takes off the stream what nobody wants any more.
  #prune() {
    const wanted = new Set([...this.#tabs.values()].flatMap((t) => t.sessions));
    let isLess = false;
    for (const id of this.#at.keys()) {
      if (wanted.has(id)) continue;
      this.#at.delete(id);
      this.#need.delete(id);
      this.#dead.delete(id);
      isLess = true;
    }
    if (!this.#isNeeded()) this.#openIn(GATHER_MS);
    else if (isLess) this.#openIn(LEAVE_MS);
  }

  #wantsChanges() {
    return [...this.#tabs.values()].some((t) => t.changes);
  }

  #isNeeded() {
    return this.#live().length > 0 || this.#wantsChanges();
  }

  #openIn(ms) {
    if (this.#env.now() + ms >= this.#dueAt) return;
    this.#env.clearTimeout(this.#timer);
    this.#dueAt = this.#env.now() + ms;
    this.#timer = this.#env.setTimeout(() => {
      this.#dueAt = Infinity;
      if (this.#isNeeded()) this.#stream.open({ quietly: true });
      else {
        this.#hasChanges = false;
        this.#stream.close();
      }
    }, ms);
  }

  #live() {
    return [...this.#at.keys()].filter((id) => !this.#dead.has(id));
  }

  #url() {
    const ids = this.#live();
    for (const id of ids.splice(MAX_SESSIONS)) this.#lose(id, new ChatError(429, "too_many", "Too many chats are open at once."));
    for (const needed of this.#need.values()) needed.isAsked = true;
    this.#hasChanges = this.#wantsChanges();
    if (ids.length === 1 && !this.#hasChanges) return single(ids[0], this.#cursor(ids[0]));
    return "/v1/events?sessions=" + ids.map(encodeURIComponent).join(",") + (this.#hasChanges ? "&changes=1" : "");
  }

  #cursor(id) {
    return this.#need.has(id) ? this.#need.get(id).cursor : this.#at.get(id);
  }

  #headers() {
    const ids = this.#live();
    const cursors = ids.filter((id) => this.#cursor(id)).map((id) => id + "@" + this.#cursor(id));
    return (ids.length > 1 || this.#hasChanges) && cursors.length ? { "Last-Event-ID": cursors.join(",") } : {};
  }

  #frames(list) {
    const frames = [];
    let isChanged = false;
    for (const { id, name, data, hasId } of list) {
      let session;
      if (name === "sessions_changed") isChanged = true;
      if (data.startsWith('{"session_id":null,')) continue; // of no chat that is shown here
      try {
        session = sessionOf(data);
      } catch {
        session = this.#live().length === 1 ? this.#live()[0] : null; // its view says what is wrong with it
        if (!session) return false;
      }
      if (name === "error" && !hasId && /"code":"session_not_found"/.test(data)) this.#lose(session, new ChatError(404, "session_not_found", JSON.parse(data).message));
      else if (this.#at.has(session)) {
        if (hasId) this.#at.set(session, id);
        if (this.#need.get(session)?.isAsked) this.#need.delete(session);
        if (name === "session_cleared") this.#bury(session);
        frames.push([session, name, data]);
      }
    }
    if (frames.length) this.#tell({ type: "frames", frames });
    if (isChanged) this.#tell({ type: "changed" });
    return true;
  }

  #bury(session) {
    this.#dead.add(session);
    if (!this.#isNeeded()) this.#openIn(GATHER_MS);
  }

  #lose(session, error) {
    this.#bury(session);
    this.#tell({ type: "gone", session, error: packError(error) });
  }

  #change({ state, error }) {
    if (state === "gone" && error.code === "session_not_found") for (const id of this.#live()) this.#lose(id, error);
    else if (state !== "closed") this.#tell(this.#stateNow());
  }

  #stateNow() {
    const c = this.#stream.connection;
    return { type: "state", connection: { ...c, error: packError(c.error) }, changes: this.#hasChanges };
  }

  #sayBeat() {
    if (this.#env.now() - this.#beatAt < BEAT_MS) return;
    this.#beatAt = this.#env.now();
    this.#tell({ type: "beat" });
  }

  #tick() {
    this.#sayBeat();
    this.#beat = this.#env.setTimeout(() => this.#tick(), 2 * BEAT_MS);
  }
}

// One stream for all tabs that use the same name.
export class Shared {
  #client;
  #env;
  #name;
  #silence; // ms without a word from the leader
  #tab = Array.from(crypto.getRandomValues(new Uint8Array(8)), (b) => b.toString(16).padStart(2, "0")).join("");
  #handles = new Set(); // {view, from: is its beginning to be told, isGone}
  #watchers = new Set(); // {changed(), change(connection)}
  #channel = null;
  #leader = null;
  #known = new Set(); // tabs of whose end this leader will learn
  #stop = null; // ends what runs while this tab takes part
  #asking = null; // ends the request for the lead
  #release = null; // gives the leader's lock back
  #last = connection("connecting"); // what the leader said ...
  #told = connection("connecting"); // ... as it is for watchers: its stream may not tell of changes
  #watch = null;
  #isHeld = false; // has this tab its own lock?
  #isDue = false; // is a want about to be sent?
  #alone = null; // Own, once sharing was refused

  constructor(client, env, name, silence) {
    this.#client = client;
    this.#env = env;
    this.#name = "chat-client " + name;
    this.#silence = silence;
  }

  attach(view) {
    if (this.#alone) return this.#alone.attach(view);
    const handle = { view, isDue: true, isGone: false, timer: null, own: null };
    this.#handles.add(handle);
    if (!this.#channel) this.#start();
    this.#want();
    if (!handle.own) view.change(this.#last.state === "gone" ? connection("connecting") : this.#last);
    return {
      again: () => this.#again(handle),
      wake: (isNew) => (handle.own ? handle.own.wake(isNew) : this.#say({ type: "wake", isNew }, () => this.#leader.wake(isNew))),
      detach: () => this.#detach(handle),
    };
  }

  // Told whenever something changed in any session, while its connection is live.
  watch(watcher) {
    if (this.#alone) return this.#alone.watch(watcher);
    this.#watchers.add(watcher);
    if (!this.#channel) this.#start();
    this.#want();
    if (!this.#alone) watcher.change(this.#told);
    return {
      wake: (isNew) => this.#say({ type: "wake", isNew }, () => this.#leader.wake(isNew)),
      detach: () => this.#watchers.delete(watcher) && !this.#alone && this.#wantOrEnd(),
    };
  }

  #wantOrEnd() {
    if (this.#handles.size + this.#watchers.size) this.#want();
    else this.#end();
  }

  #again(handle) {
    this.#env.clearTimeout(handle.timer);
    handle.timer = null;
    handle.isDue = true;
    handle.isGone = false;
    if (handle.own) handle.own.again();
    else if (this.#alone) handle.own = this.#alone.attach(handle.view);
    else this.#want();
  }

  #detach(handle) {
    this.#env.clearTimeout(handle.timer);
    if (!this.#handles.delete(handle)) return;
    if (this.#alone) handle.own?.detach();
    else this.#wantOrEnd();
  }

  // Sharing is refused here: a stream for each view from now on. That it was ended (AbortError) is no refusal.
  #refused(error, stop) {
    if (error?.name === "AbortError" || stop !== this.#stop || this.#alone) return;
    if (!(error instanceof DOMException)) this.#env.reportError(error);
    this.#alone = new Own(this.#client);
    this.#end();
    for (const handle of [...this.#handles]) if (!handle.isGone) this.#again(handle);
    for (const watcher of this.#watchers) this.#alone.watch(watcher);
  }

  // --- life ---

  #start() {
    this.#stop = new AbortController();
    try {
      this.#channel = new this.#env.BroadcastChannel(this.#name);
    } catch (error) {
      this.#refused(error, this.#stop);
      return;
    }
    this.#channel.onmessage = ({ data }) => this.#hear(data);
    this.#last = this.#told = connection("connecting");
    const stop = this.#stop;
    // held while this tab is there: so the leader learns of its end, however it comes; and held before the
    // leader hears of this tab, for it would get the lock at once and take that for the end
    this.#isHeld = false;
    const hold = () => {
      this.#isHeld = true;
      this.#want();
      return new Promise((done) => stop.signal.addEventListener("abort", done));
    };
    this.#lock(this.#tabLock(this.#tab), { signal: stop.signal }, hold).catch((error) => this.#refused(error, stop));
    this.#apply();
    this.#listenFor();
  }

  #tabLock(tab) {
    return this.#name + " tab " + tab;
  }

  // A request that fails at once fails like one that fails later.
  async #lock(name, options, hold) {
    return this.#env.locks.request(name, options, hold);
  }

  // Asks for the lead, or takes it from who has it.
  #apply(isTaken = false) {
    const stop = this.#stop;
    this.#asking?.abort();
    const asking = (this.#asking = new AbortController());
    let mine = null;
    const hold = () => {
      if (stop !== this.#stop || asking.signal.aborted) return undefined;
      return new Promise((done) => {
        mine = this.#release = done;
        this.#lead();
      });
    };
    this.#lock(this.#name, isTaken ? { steal: true } : { signal: asking.signal }, hold).catch((error) => {
      if (stop !== this.#stop) return;
      if (mine && mine === this.#release) { // it was taken from this tab
        this.#resign();
        this.#apply();
      } else this.#refused(error, stop);
    });
  }

  #lead() {
    this.#env.clearTimeout(this.#watch);
    this.#known.clear();
    this.#leader = new Leader(this.#client, this.#env, (message) => this.#say(message, () => this.#take(message)));
    this.#say({ type: "lead", tab: this.#tab });
    this.#wantAll();
  }

  #seen(tab) {
    if (this.#known.has(tab)) return;
    this.#known.add(tab);
    const stop = this.#stop;
    const gone = () => {
      this.#known.delete(tab);
      this.#leader?.leave(tab);
    };
    this.#lock(this.#tabLock(tab), { signal: stop.signal }, gone).catch((error) => this.#refused(error, stop));
  }

  #resign() {
    this.#leader?.stop();
    this.#leader = null;
    this.#release = null;
    this.#listenFor();
  }

  #end() {
    this.#env.clearTimeout(this.#watch);
    this.#say({ type: "bye", tab: this.#tab });
    this.#leader?.stop();
    this.#leader = null;
    this.#release?.();
    this.#release = null;
    this.#asking?.abort();
    this.#stop.abort();
    this.#stop = null;
    if (this.#channel) this.#channel.onmessage = null;
    this.#channel?.close();
    this.#channel = null;
  }

  // The leader must be heard, or it is no leader; not all at once find that.
  #listenFor() {
    this.#env.clearTimeout(this.#watch);
    if (this.#leader) return;
    this.#watch = this.#env.setTimeout(() => this.#apply(true), this.#silence * (1 + this.#env.random() / 4));
  }

  // --- messages ---

  #say(message, here) {
    this.#channel?.postMessage(message);
    if (this.#leader) here?.();
  }

  // What this tab wants, gathered: a reload attaches several views in one go.
  #want() {
    if (this.#isDue) return;
    this.#isDue = true;
    queueMicrotask(() => {
      this.#isDue = false;
      if (!this.#channel || !this.#isHeld) return;
      const from = {};
      for (const handle of this.#handles) {
        if (!handle.isDue || handle.isGone) continue;
        const { id } = handle.view;
        const cursor = handle.view.cursor();
        from[id] = id in from && seqOf(from[id]) < seqOf(cursor) ? from[id] : cursor;
        handle.isDue = false;
      }
      const message = { type: "want", tab: this.#tab, sessions: [...new Set([...this.#handles].map((h) => h.view.id))], from, changes: this.#watchers.size > 0 };
      this.#say(message, () => this.#leader.want(message));
    });
  }

  #wantAll() {
    for (const handle of this.#handles) handle.isDue = !handle.isGone;
    this.#want();
  }

  // From another tab.
  #hear(message) {
    if (this.#leader) {
      if (message.type === "want") {
        this.#seen(message.tab);
        this.#leader.want(message);
      } else if (message.type === "bye") this.#leader.leave(message.tab);
      else if (message.type === "wake") this.#leader.wake(message.isNew);
      return;
    }
    if (["lead", "frames", "state", "gone", "beat"].includes(message.type)) this.#listenFor();
    if (message.type === "lead") this.#wantAll();
    else this.#take(message);
  }

  // From the leader, be it this tab.
  #take(message) {
    if (message.type === "frames") {
      const lists = new Map();
      for (const [session, name, data] of message.frames) {
        if (!lists.has(session)) lists.set(session, []);
        lists.get(session).push({ name, data });
      }
      for (const handle of [...this.#handles]) {
        const list = lists.get(handle.view.id);
        if (!list) continue;
        const isGood = handle.view.frames(list);
        if (isGood) {
          this.#env.clearTimeout(handle.timer);
          handle.timer = null;
        } else if (!handle.timer && this.#handles.has(handle)) {
          handle.timer = this.#env.setTimeout(() => this.#again(handle), HOLE_MS);
        }
      }
    } else if (message.type === "state") {
      this.#last = connection(message.connection.state, { ...message.connection, error: unpackError(message.connection.error) });
      for (const handle of [...this.#handles]) if (!handle.isGone) handle.view.change(this.#last);
      // a leader of another version of the page may not know what changes are
      this.#told = message.changes ? this.#last : connection("closed");
      for (const watcher of [...this.#watchers]) watcher.change(this.#told);
    } else if (message.type === "changed") {
      for (const watcher of [...this.#watchers]) watcher.changed();
    } else if (message.type === "gone") {
      for (const handle of [...this.#handles]) {
        if (handle.view.id !== message.session) continue;
        handle.isGone = true;
        handle.view.change(connection("gone", { error: unpackError(message.error) }));
      }
    }
  }
}
