// Where views get their frames from.

// A stream for each view.
export class Own {
  #client;

  constructor(client) {
    this.#client = client;
  }

  // view: {id, cursor(), frames(list), change(connection)}
  attach(view) {
    const stream = this.#client.stream({
      url: () => {
        const cursor = view.cursor();
        return "/v1/sessions/" + encodeURIComponent(view.id) + "/events" + (cursor ? "?last_event_id=" + encodeURIComponent(cursor) : "");
      },
      frames: (list) => view.frames(list),
      change: (c) => view.change(c),
    });
    stream.open();
    return { again: () => stream.open(), wake: (isNew) => stream.wake(isNew), detach: () => stream.close() };
  }
}
