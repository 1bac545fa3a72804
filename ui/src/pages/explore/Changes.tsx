// The flags of the range as a list, newest first; hover on one lights its pole.
import type { ReactNode } from 'react'
import { useWord } from '../../components/language'
import { Glyph } from '../../components/State'
import { Say, Time } from '../../components/Text'
import { rowShape } from '../../components/tones'
import { Empty } from '../../components/Waiting'
import type { TimelineRow } from '../../data/api'
import { number } from '../../lib/number'
import { lineKey, linesMost } from '../../lib/story'

const most = 50

export function Changes({ rows, cut, lit, onLit }: { rows: readonly TimelineRow[]; /** Earlier lines of the range were not read. */ cut: boolean; lit: number | undefined; onLit: (seq: number | undefined) => void }): ReactNode {
  const word = useWord()
  const left = cut && word('explore.changes.cut', { count: number(linesMost) })
  if (rows.length === 0) return <Empty title={word('explore.changes.none')}>{left}</Empty>
  return (
    <ol className="evs changes">
      {[...rows].reverse().slice(0, most).map((row) => (
        <li key={lineKey(row)} className={lit === row.seq ? 'lit' : ''} onPointerEnter={() => onLit(row.seq)} onPointerLeave={() => onLit(undefined)}>
          <Glyph shape={rowShape(row)} /><Time at={row.at} digits={1} /><span className="prose"><Say text={row.text} />{row.by && <span className="t3"> {row.by}</span>}</span><span />
        </li>
      ))}
      {rows.length > most && <li className="t3"><span className="whole">{word('graph.more_under', { count: rows.length - most })}</span></li>}
      {left && <li className="warn sm"><span className="whole">{left}</span></li>}
    </ol>
  )
}
