// A table with real heads, sorting, selection, `j k x a Enter`, and rows that never move under the pointer or the focus.
import { useEffect, useMemo, useRef, useState, type KeyboardEvent, type ReactNode } from 'react'
import { useWord } from './language'

export interface Column<Row> {
  id: string
  head: ReactNode
  cell: (row: Row) => ReactNode
  number?: boolean
  /** What to sort by; a column without it can't be sorted. */
  sort?: (row: Row) => string | number
  /** Left out below 900 px, because the second line of the row says it. */
  wide?: boolean
  className?: string
}

interface Props<Row> {
  name: string
  columns: readonly Column<Row>[]
  rows: readonly Row[]
  id: (row: Row) => string
  /** On a phone each row is this, in two lines, instead of a table. */
  narrow?: (row: Row) => ReactNode
  onOpen?: (row: Row) => void
  selected?: ReadonlySet<string>
  onSelect?: (selected: ReadonlySet<string>) => void
  selectName?: (row: Row) => string
  selectAllName?: string
  empty?: ReactNode
  sortBy?: { column: string; descending: boolean }
}

export function DataTable<Row>(props: Props<Row>): ReactNode {
  const { name, columns, rows, id, onOpen, selected, onSelect } = props
  const word = useWord()
  const [sort, setSort] = useState(props.sortBy)
  const [order, setOrder] = useState<readonly string[]>([])
  const [held, setHeld] = useState(false)
  const [at, setAt] = useState<string>()
  const anchor = useRef<string>(undefined)
  const sortedAt = useRef(0)
  const body = useRef<HTMLTableSectionElement>(null)

  const wanted = useMemo(() => {
    const column = columns.find((candidate) => candidate.id === sort?.column)
    const keyed = rows.map((row, index) => ({ id: id(row), index, key: column?.sort?.(row) }))
    if (column?.sort) {
      keyed.sort((a, b) => {
        const by = typeof a.key === 'number' && typeof b.key === 'number' ? a.key - b.key : String(a.key).localeCompare(String(b.key), undefined, { numeric: true })
        return (sort?.descending ? -by : by) || a.index - b.index
      })
    }
    return keyed.map((entry) => entry.id)
  }, [rows, columns, sort, id])

  // Live data re-sorts at most every 10 s, and never while pointer or focus is in the table.
  const moved = wanted.filter((key, index) => order[index] !== key && order.includes(key)).length
  const settle = (): void => {
    sortedAt.current = Date.now()
    setOrder(wanted)
  }
  useEffect(() => {
    const same = wanted.length === order.length && wanted.every((key) => order.includes(key))
    if (!same) {
      // New rows go to the end until the next sorting, unless nothing is held.
      if (held) setOrder((before) => [...before.filter((key) => wanted.includes(key)), ...wanted.filter((key) => !before.includes(key))])
      else settle()
    } else if (!held && moved > 0 && Date.now() - sortedAt.current > 10_000) settle()
  }, [wanted, held])
  useEffect(settle, [sort])

  const byId = new Map(rows.map((row) => [id(row), row]))
  const shown = order.filter((key) => byId.has(key))

  const toggle = (key: string, range: boolean): void => {
    if (!onSelect) return
    const next = new Set(selected)
    const from = anchor.current === undefined ? -1 : shown.indexOf(anchor.current)
    if (range && from >= 0) {
      const to = shown.indexOf(key)
      for (const between of shown.slice(Math.min(from, to), Math.max(from, to) + 1)) next.add(between)
    } else if (next.has(key)) next.delete(key)
    else next.add(key)
    anchor.current = key
    onSelect(next)
  }
  const go = (step: number): void => {
    const index = at === undefined ? -1 : shown.indexOf(at)
    const next = shown[Math.max(0, Math.min(shown.length - 1, index + step))]
    if (next === undefined) return
    setAt(next)
    body.current?.querySelector<HTMLElement>(`tr[data-id="${CSS.escape(next)}"]`)?.focus()
  }
  const keys = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey || (event.target as HTMLElement).closest('input:not([type=checkbox]), textarea, select')) return
    const key = event.key
    const row = at === undefined ? undefined : byId.get(at)
    if (key === 'j' || key === 'ArrowDown') go(1)
    else if (key === 'k' || key === 'ArrowUp') go(-1)
    else if (key.toLowerCase() === 'x' && at !== undefined && onSelect) toggle(at, event.shiftKey)
    else if (key === 'a' && onSelect) onSelect(new Set(shown))
    else if (key === 'Escape' && onSelect && (selected?.size ?? 0) > 0) onSelect(new Set())
    else if (key === 'Enter' && row !== undefined && onOpen && (event.target as HTMLElement).tagName === 'TR') onOpen(row)
    else return
    event.preventDefault()
    event.stopPropagation()
  }

  if (rows.length === 0) return props.empty ?? null
  const all = selected !== undefined && rows.length > 0 && selected.size === rows.length
  return (
    <div
      onKeyDown={keys} onPointerEnter={() => setHeld(true)} onPointerLeave={() => setHeld(false)} onFocus={() => setHeld(true)}
      onBlur={(event) => {
        if (!event.currentTarget.contains(event.relatedTarget)) setHeld(false)
      }}
    >
      {held && moved > 0 && sort && (
        <div className="row" style={{ padding: '4px 14px' }}>
          <span className="t2 sm nw">{word('do.would_move', { count: moved })}</span>
          <button type="button" className="btn small" onClick={settle}>{word('do.sort_again')}</button>
        </div>
      )}
      <div className={`wide${props.narrow ? ' has-narrow' : ''}`}>
        <table aria-label={name}>
          <thead>
            <tr>
              {onSelect && (
                <th>
                  <input type="checkbox" aria-label={props.selectAllName ?? name} checked={all} ref={(box) => { if (box) box.indeterminate = !all && (selected?.size ?? 0) > 0 }}
                    onChange={() => onSelect(all ? new Set() : new Set(shown))} />
                </th>
              )}
              {columns.map((column) => (
                <th key={column.id} className={`${column.number ? 'num' : ''}${column.wide ? ' wideonly' : ''}`} {...(column.sort ? { 'aria-sort': sort?.column === column.id ? (sort.descending ? 'descending' : 'ascending') : 'none' } : {})}>
                  {column.sort ? (
                    <button type="button" onClick={() => setSort({ column: column.id, descending: sort?.column === column.id ? !sort.descending : column.number === true })}>
                      {column.head}{sort?.column === column.id && <span aria-hidden="true">{sort.descending ? ' ↓' : ' ↑'}</span>}
                    </button>
                  ) : column.head}
                </th>
              ))}
            </tr>
          </thead>
          <tbody ref={body}>
            {shown.map((key, index) => {
              const row = byId.get(key)!
              return (
                <tr key={key} data-id={key} data-at={at === key ? 'here' : undefined} tabIndex={at === key || (at === undefined && index === 0) ? 0 : -1}
                  onFocus={() => setAt(key)} onDoubleClick={() => onOpen?.(row)} aria-selected={onSelect ? selected?.has(key) : undefined}>
                  {onSelect && (
                    <td>
                      <input type="checkbox" aria-label={props.selectName?.(row) ?? key} checked={selected?.has(key) ?? false}
                        onChange={() => undefined} onClick={(event) => toggle(key, event.shiftKey)} />
                    </td>
                  )}
                  {columns.map((column) => (
                    <td key={column.id} className={`${column.number ? 'num ' : ''}${column.className ?? ''}${column.wide ? ' wideonly' : ''}`}>{column.cell(row)}</td>
                  ))}
                </tr>
              )
            })}
          </tbody>
        </table>
      </div>
      {props.narrow && (
        <ul className="narrow" aria-label={name}>
          {shown.map((key) => {
            const row = byId.get(key)!
            return (
              <li key={key}>
                {onSelect && (
                  <label className="tick"><input type="checkbox" aria-label={props.selectName?.(row) ?? key} checked={selected?.has(key) ?? false} onChange={() => toggle(key, false)} /></label>
                )}
                <div className="grow">{props.narrow!(row)}</div>
              </li>
            )
          })}
        </ul>
      )}
    </div>
  )
}
