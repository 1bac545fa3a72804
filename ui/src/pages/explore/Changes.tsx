// The flags of the range as a list, newest first; hover on one lights its pole.
import type { ReactNode } from 'react'
import { useWord } from '../../components/language'
import { Glyph } from '../../components/State'
import { Say, Time } from '../../components/Text'
import { rowShape } from '../../components/tones'
import { Empty } from '../../components/Waiting'
import type { TimelineRow } from '../../data/api'
import { lineKey } from '../../lib/story'

const most = 50

export function Changes({ rows, lit, onLit }: { rows: readonly TimelineRow[]; lit: number | undefined; onLit: (seq: number | undefined) => void }): ReactNode {
  const word = useWord()
  if (rows.length === 0) return <Empty title={word('explore.changes.none')} />
  return (
    <ol className="evs changes">
      {[...rows].reverse().slice(0, most).map((row) => (
        <li key={lineKey(row)} className={lit === row.seq ? 'lit' : ''} onPointerEnter={() => onLit(row.seq)} onPointerLeave={() => onLit(undefined)}>
          <Glyph shape={rowShape(row)} /><Time at={row.at} digits={1} /><span className="prose"><Say text={row.text} />{row.by && <span className="t3"> {row.by}</span>}</span><span />
        </li>
      ))}
      {rows.length > most && <li className="t3">{word('graph.more_under', { count: rows.length - most })}</li>}
    </ol>
  )
}
