// Where lines of unequal height are, when only those on screen were ever drawn: the others count as one of middling height.

const ESTIMATE_PX = 72;

export class Heights {
  #known = new Map<number, number>();
  #rows: ArrayLike<number> = [];
  #offsets = new Float64Array(1);
  #due = true;

  /** Takes the lines as they now are, each by its row. */
  set rows(rows: ArrayLike<number>) {
    this.#rows = rows;
    this.#due = true;
  }

  /** Notes how high a line is; tells whether that is news. */
  set(row: number, height: number): boolean {
    if (Math.abs((this.#known.get(row) ?? -1) - height) < 1) return false;
    this.#known.set(row, height);
    this.#due = true;
    return true;
  }

  /** Where a line begins; of the one after the last, where all ends. */
  offset(index: number): number {
    return this.#all()[Math.max(0, Math.min(index, this.#rows.length))];
  }

  /** The line at a place. */
  at(y: number): number {
    const offsets = this.#all();
    let low = 0;
    let high = this.#rows.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (offsets[middle] <= y) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #all(): Float64Array {
    if (!this.#due) return this.#offsets;
    this.#due = false;
    const n = this.#rows.length;
    if (this.#offsets.length !== n + 1) this.#offsets = new Float64Array(n + 1);
    for (let i = 0; i < n; i++) {
      this.#offsets[i + 1] = this.#offsets[i] + (this.#known.get(this.#rows[i]) ?? ESTIMATE_PX);
    }
    return this.#offsets;
  }
}
