// What stands in for markdown.js where the page is built without packages: text stays text.

export const isRich = false;

export class Markdown {
  #text = document.createTextNode("");

  constructor(box) {
    box.classList.add("as-is");
    box.append(this.#text);
  }

  append(piece) {
    if (piece) this.#text.appendData(piece);
  }

  end() {}

  drop() {}
}
