// What stands beside a plot: the cursor's box with values, and the same data as a table.
import { useState, type ReactNode } from 'react'
import { colorOf, leftRoom, rightRoom, type GraphProps } from './plot'
import { useFormat, useWord } from './language'
import { Glyph } from './State'
import { Figure } from './Text'

export function CursorBox(props: GraphProps & { cursor: { index: number; left: number }; width: number; own: boolean }): ReactNode {
  const { cursor, series, times, unit = 'none', flags = [], width } = props
  const format = useFormat()
  const word = useWord()
  const at = (times[cursor.index] ?? 0) * 1000
  const digits = (props.to - props.from) / Math.max(1, times.length) < 1000 ? 2 : (props.to - props.from) < 120_000 ? 1 : 0
  const rows = series
    .map((one, index) => ({ name: one.name, value: one.values[cursor.index] ?? null, color: one.color ?? colorOf(index), dash: one.dash, hidden: one.hidden, before: one.before?.[cursor.index] }))
    .filter((row) => !row.hidden)
    .sort((a, b) => (b.value ?? -Infinity) - (a.value ?? -Infinity))
  if (!props.own) {
    // A tied graph says its first value beside the cursor, without a box.
    const first = rows[0]
    return first && rows.length <= 2 ? (
      <div className="cursor-value" style={{ left: leftRoom + cursor.left + (cursor.left > width / 2 ? -6 : 6), transform: cursor.left > width / 2 ? 'translateX(-100%)' : undefined }}>{first.value === null ? word('graph.no_data') : format.measure(first.value, unit)}</div>
    ) : null
  }
  const near = [...flags].sort((a, b) => Math.abs(a.at - at) - Math.abs(b.at - at))[0]
  const distance = near ? at - near.at : 0
  const showNear = near && Math.abs(distance) < (props.to - props.from) / 12
  const right = cursor.left < width / 2
  return (
    <div className="cursor-box" style={right ? { left: leftRoom + cursor.left + 14, maxWidth: width - cursor.left + rightRoom - 14 } : { right: width - cursor.left + rightRoom + 14, maxWidth: leftRoom + cursor.left - 14 }}>
      <div className="row between"><b>{format.within(at, props, digits)}</b><span className="t3 cut">{props.name}</span></div>
      {rows.slice(0, 5).map((row, index) => (
        <div className="row between" key={index}>
          <span className="cut"><i className={row.dash ? 'sw dash' : 'sw'} style={{ ['--c' as string]: `var(${row.color})` }} />{row.name}</span>
          <span className="nw">{row.value === null ? word('graph.no_data') : format.measure(row.value, unit)}{row.before != null && <span className="t3"> ← {format.measure(row.before, unit)}</span>}</span>
        </div>
      ))}
      {props.beforeName && rows.some((row) => row.before != null) && <div className="t3 xs">← {props.beforeName}</div>}
      {rows.length > 5 && <div className="t3 xs">{rows[5]!.value === null ? word('graph.more_none', { count: rows.length - 5 }) : word('graph.more_most', { count: rows.length - 5, most: format.measure(rows[5]!.value, unit) })}</div>}
      {showNear && (
        <div className="cursor-flag"><Glyph shape={near.shape} /> <span>{near.name}, {word(distance >= 0 ? 'graph.before' : 'graph.after', { offset: format.duration(Math.abs(distance)) })}{near.title && <span className="t2"><br />{near.title}{near.note && `, ${near.note}`}</span>}</span></div>
      )}
    </div>
  )
}

/** Most rows of a table, and how many of them come at a time. */
const rowsMost = 500
const rowsMore = 60

/** The same data as rows, newest first. Those further down come when they are scrolled to: live data changes all of them each second. */
export function GraphTable({ times, series, unit = 'none', height = 160, name, from: start, to: end }: GraphProps): ReactNode {
  const format = useFormat()
  const word = useWord()
  const visible = series.filter((one) => !one.hidden).slice(0, 12)
  const [most, setMost] = useState(rowsMore)
  const from = Math.max(0, times.length - Math.min(most, rowsMost))
  const rows = Array.from({ length: times.length - from }, (_, index) => times.length - 1 - index)
  const timeWide = format.within(start, { from: start, to: end }, 1).length * 7 + 28
  return (
    <div className="graph-table" role="region" aria-label={name} tabIndex={0} style={{ maxHeight: Math.max(160, height + 24) }}
      onScroll={({ currentTarget: box }) => { if (most < rowsMost && box.scrollTop + box.clientHeight * 3 > box.scrollHeight) setMost(most + rowsMore) }}>
      {/* Columns keep their width whatever the values are: nothing moves while they change. */}
      <table aria-label={name} style={{ minWidth: timeWide + visible.length * 104 }}>
        <thead><tr><th style={{ width: timeWide }}>{word('graph.time')}</th>{visible.map((one, index) => <th key={index} className="num" title={one.name}>{one.name}</th>)}</tr></thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row}>
              <td className="mono">{format.within(times[row]! * 1000, { from: start, to: end }, 1)}</td>
              {visible.map((one, index) => <td key={index} className="num">{one.values[row] == null ? <span className="t3">{word('graph.no_data')}</span> : <Figure>{format.measure(one.values[row], unit)}</Figure>}</td>)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
