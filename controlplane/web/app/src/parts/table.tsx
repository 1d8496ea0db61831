// Tables whose rows keep their place: each is known by its key, and drawn again only when what it shows changed.

import { Component, type ComponentChildren, type JSX } from "preact";
import { useMemo, useState } from "preact/hooks";

export interface Column<Item> {
  name: string;
  /** Of the column's cells; numbers stand on the right. */
  class?: string;
  title?: string;
  cell: (item: Item) => ComponentChildren;
  /** By what it is sorted; without it, it is not. */
  sort?: (item: Item) => string | number | null;
  /** What a cell shows, as text: a row is drawn again when one of them differs. */
  text: (item: Item) => string;
}

interface TableProps<Item> {
  label: string;
  columns: readonly Column<Item>[];
  items: readonly Item[];
  keyOf: (item: Item) => string;
  rowClass?: (item: Item) => string;
  sortedBy?: string;
  descending?: boolean;
}

interface RowProps {
  shown: string;
  draw: () => JSX.Element;
}

class KeyedRow extends Component<RowProps> {
  override shouldComponentUpdate(next: RowProps): boolean {
    return next.shown !== this.props.shown;
  }
  override render(): JSX.Element {
    return this.props.draw();
  }
}

const compare = (a: string | number | null, b: string | number | null): number => {
  // What is not known is last, whichever way is sorted.
  if (a === null || b === null) return 0;
  return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
};

export function Table<Item>(props: TableProps<Item>): JSX.Element {
  const { columns, items, keyOf, rowClass } = props;
  const [by, setBy] = useState(props.sortedBy ?? "");
  const [down, setDown] = useState(props.descending ?? false);
  const sorted = useMemo(() => {
    const read = columns.find((column) => column.name === by)?.sort;
    if (!read) return items;
    return [...items].sort((a, b) => {
      const [left, right] = [read(a), read(b)];
      if ((left === null) !== (right === null)) return left === null ? 1 : -1;
      return (down ? -1 : 1) * compare(left, right) || keyOf(a).localeCompare(keyOf(b));
    });
  }, [items, by, down, columns, keyOf]);
  const choose = (name: string) => {
    setDown(by === name ? !down : false);
    setBy(name);
  };
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={props.label}>
      <table>
        <thead>
          <tr>
            {columns.map((column) => (
              <th
                key={column.name}
                scope="col"
                class={column.class}
                title={column.title}
                aria-sort={by === column.name ? (down ? "descending" : "ascending") : undefined}
              >
                {column.sort ? (
                  <button type="button" class="plain sort" onClick={() => choose(column.name)}>
                    {column.name}
                    <span class="arrow" aria-hidden="true">
                      {by === column.name ? (down ? "▾" : "▴") : ""}
                    </span>
                  </button>
                ) : (
                  column.name
                )}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {sorted.map((item) => {
            const kind = rowClass?.(item) ?? "";
            return (
              <KeyedRow
                key={keyOf(item)}
                shown={`${kind}\n${columns.map((column) => column.text(item)).join("\n")}`}
                draw={() => (
                  <tr class={kind}>
                    {columns.map((column) => (
                      <td key={column.name} class={column.class} data-label={column.name}>
                        {column.cell(item)}
                      </td>
                    ))}
                  </tr>
                )}
              />
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
