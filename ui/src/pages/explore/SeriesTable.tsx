// The legend of a query: its series with least, mean, most, last, at cursor and gaps; a click shows one alone, Ctrl click hides one.
import { useMemo, useRef, useState, type MouseEvent, type PointerEvent, type ReactNode } from 'react'
import { useFormat, useWord } from '../../components/language'
import { Panel } from '../../components/Panel'
import { Figure } from '../../components/Text'
import type { ExploreState } from '../../lib/explore'
import { isShown } from '../../lib/explore'
import { indexAt, ordered, type Order } from '../../lib/held'
import type { Unit } from '../../lib/number'
import { tellingLabels } from '../../lib/series'
import type { Answer, Ranked } from './answers'
import { useCursor, type Cursor } from './cursor'

interface Props {
  answer: Answer
  state: ExploreState
  unit: Unit
  step: number
  /** What is compared with: `a day before`. */
  beforeName: string | undefined
  cursor: Cursor
  onPress: (mark: string, one: boolean) => void
  onAll: () => void
  onSort: (sort: ExploreState['sort']) => void
}

const figures = ['min', 'mean', 'max', 'last'] as const

export function SeriesTable({ answer, state, unit, step, beforeName, cursor, onPress, onAll, onSort }: Props): ReactNode {
  const word = useWord()
  const format = useFormat()
  const time = useCursor(cursor, answer.letter)
  // The graph may stand still under the hand while the answer goes on: its time is looked for, not its place.
  const at = time === undefined ? undefined : indexAt(answer.frame?.times ?? [], time, step / 2)
  const { sort } = state
  const rows = answer.series
  const labels = useMemo(() => tellingLabels(rows.map((row) => row.labels)).slice(0, beforeName ? 2 : 4), [rows, beforeName])
  const [pointed, setPointed] = useState(false)
  const [within, setWithin] = useState(false)
  const order = useRef<Order>({ by: '', at: 0, rows: [] })
  const wanted = useMemo(() => sorted(rows, sort), [rows, sort])
  order.current = ordered(order.current, wanted.map((row) => row.mark), `${sort?.by} ${sort?.descending}`, pointed || within, Date.now())
  const byMark = new Map(rows.map((row) => [row.mark, row]))
  const shown = order.current.rows.flatMap((mark) => byMark.get(mark) ?? [])
  const hand = {
    onPointerEnter: (event: PointerEvent): void => { if (event.pointerType === 'mouse') setPointed(true) }, onPointerLeave: () => setPointed(false), onFocus: () => setWithin(true), onBlur: () => setWithin(false),
  }
  const head = (id: string, text: ReactNode, number: boolean): ReactNode => (
    <th key={id} className={number ? 'num' : ''} aria-sort={sort?.by === id ? (sort.descending ? 'descending' : 'ascending') : 'none'}>
      <button type="button" onClick={() => onSort({ by: id, descending: sort?.by === id ? !sort.descending : number })}>{text}{sort?.by === id && <span aria-hidden="true">{sort.descending ? ' ↓' : ' ↑'}</span>}</button>
    </th>
  )
  const name = word('explore.series', { letter: answer.letter })
  // All figures have columns of one width: the longest fits, and a digit more changes nothing.
  const longest = Math.max(0, ...rows.flatMap((row) => (row.stats ? figures.map((one) => format.measure(row.stats![one], unit).length) : [])))
  const wide = Math.max(80, Math.ceil(longest / 3) * 22 + 16)
  const touched = state.alone?.startsWith(`${answer.letter}.`) || state.hidden.some((mark) => mark.startsWith(`${answer.letter}.`))
  const press = (row: Ranked) => (event: MouseEvent): void => onPress(row.mark, event.ctrlKey || event.metaKey)
  const cursorCell = (row: Ranked): ReactNode => (at === undefined ? '' : row.values[at] == null ? <span className="t3">{word('graph.gap')}</span> : <Figure>{format.measure(row.values[at], unit)}</Figure>)
  const button = (row: Ranked, text: string): ReactNode => (
    <button type="button" className="series-name cut" title={text} aria-pressed={isShown(state, answer.letter, row.mark)} onClick={press(row)}><i className={row.dash ? 'sw dash' : 'sw'} style={{ ['--c' as string]: `var(${row.color})` }} />{text}</button>
  )
  return (
    <Panel title={name} note={<><span className="onmouse">{word('explore.series.note')}</span><span className="ontouch">{word('explore.series.note.touch')}</span></>} actions={<button type="button" className={touched ? 'btn small' : 'btn small unseen'} onClick={onAll}>{word('explore.all')}</button>}>
      <div className="wide series has-narrow" {...hand} tabIndex={0} role="group" aria-label={name}>
        <table aria-label={name} style={{ minWidth: Math.max(1, labels.length) * 76 + (beforeName ? 6 : 5) * wide + 76, ['--figure' as string]: `${wide}px` }}>
          <thead>
            <tr>
              {labels.length === 0 ? <th>{word('explore.series.name')}</th> : labels.map((label) => head(label, label === '__name__' ? word('explore.kind.metric') : label, false))}
              {figures.map((one) => head(one, word(`explore.${one}`), true))}
              {beforeName && head('before', <span title={`${word('explore.mean')}, ${beforeName}`}>{beforeName}</span>, true)}
              <th className="num">{word('explore.cursor')}</th><th className="num">{word('explore.gaps')}</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((row) => (
              <tr key={row.mark} className={isShown(state, answer.letter, row.mark) ? '' : 'off'}>
                {(labels.length === 0 ? ['__name__'] : labels).map((label, index) => {
                  const text = row.labels[label] ?? (labels.length === 0 ? answer.letter : '-')
                  return <td key={label} className={index === 0 ? 'm' : 'mono'}>{index === 0 ? button(row, text) : text}</td>
                })}
                {figures.map((one) => <td key={one} className={one === 'max' ? 'num b' : 'num'}>{row.stats ? <Figure>{format.measure(row.stats[one], unit)}</Figure> : '-'}</td>)}
                {beforeName && <td className="num t2">{row.beforeMean === undefined ? <span className="t3">{word('graph.no_data')}</span> : <Figure>{format.measure(row.beforeMean, unit)}</Figure>}</td>}
                <td className="num">{cursorCell(row)}</td>
                <td className="num t2">{row.stats && row.stats.gaps > 0 ? <Figure>{format.duration(row.stats.gaps * step * 1000)}</Figure> : word('explore.gaps.none')}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <ul className="narrow series" {...hand} aria-label={name}>
        {shown.map((row) => (
          <li key={row.mark} className={isShown(state, answer.letter, row.mark) ? '' : 'off'}>
            <div className="grow">
              <div className="row between">{button(row, row.name || answer.letter)}<Figure as="b" className="nw">{row.stats ? format.measure(row.stats.last, unit) : '-'}</Figure></div>
              {row.stats && (
                <div className="t2 sm thirds">
                  {(['min', 'mean', 'max'] as const).map((one) => <span key={one}>{`${word(`explore.${one}`)} ${format.measure(row.stats![one], unit)}`}</span>)}
                  {beforeName && <span className="whole">{`${beforeName}: ${row.beforeMean === undefined ? word('graph.no_data') : format.measure(row.beforeMean, unit)}`}</span>}
                </div>
              )}
            </div>
          </li>
        ))}
      </ul>
    </Panel>
  )
}

function sorted(rows: readonly Ranked[], sort: ExploreState['sort']): readonly Ranked[] {
  if (!sort) return rows
  const value = (row: Ranked): number | string => {
    if (sort.by === 'before') return row.beforeMean ?? -Infinity
    const figure = figures.find((one) => one === sort.by)
    return figure ? (row.stats?.[figure] ?? -Infinity) : (row.labels[sort.by] ?? '')
  }
  return [...rows].sort((a, b) => {
    const [left, right] = [value(a), value(b)]
    const by = typeof left === 'number' && typeof right === 'number' ? (left === right ? 0 : left - right) : String(left).localeCompare(String(right), undefined, { numeric: true })
    return sort.descending ? -by : by
  })
}
