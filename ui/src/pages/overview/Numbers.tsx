// Five numbers, business first: value, unit, limit, state, five minutes with the changes. A click opens Explore.
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { millis, useFormat, useWord } from '../../components/language'
import { Spark } from '../../components/Spark'
import { State } from '../../components/State'
import { alertShape } from '../../components/tones'
import type { Number as NumberRow, StoryRef } from '../../data/api'
import { tick, unitNamed } from '../../lib/number'

export function Numbers({ numbers, story, hurts }: { numbers: readonly NumberRow[]; story?: StoryRef | null | undefined; /** Something hurts now: only then a number over its limit is bad. */ hurts: boolean }): ReactNode {
  const word = useWord()
  const format = useFormat()
  const onset = story?.onset ? [millis(story.onset)] : []
  // What is bad comes first; nothing else is reordered.
  const sorted = [...numbers].sort((a, b) => Number(b.state === 'bad') - Number(a.state === 'bad'))
  return (
    <section className="kpis" style={{ ['--count' as string]: Math.max(3, Math.min(5, sorted.length)) }} aria-label={word('overview.numbers')}>
      {sorted.slice(0, 5).map((one) => {
        const unit = unitNamed(one.unit)
        const shown = format.quantity(one.value, unit)
        const last = one.times.at(-1)
        const to = last === undefined ? 0 : last * 1000
        return (
          <Link key={one.title} to="/explore" search={{ q: one.query } as never} className="panel kpi">
            <div className="t2 sm row between"><span className="cut">{one.title}</span><State shape={one.state === 'bad' && !hurts ? 'late' : alertShape[one.state]}>{one.state === 'ok' ? <span className="sr">{word('state.ok')}</span> : one.state === 'bad' ? word('overview.number.over') : undefined}</State></div>
            <div className="v">{one.value == null ? <span className="t3">{word('state.no_data')}</span> : <><b>{shown.value}</b><small>{unit === 'none' ? one.unit : shown.unit}</small></>}</div>
            <Spark times={one.times} values={one.values} from={to - 300_000} to={to} flags={onset} zero={unit === 'ratio' || unit === 'percent'} />
            <div className="t3 xs nw">{one.limit == null ? word('overview.number.last') : word('overview.number.limit', { limit: tick(one.limit, unit, format.language) })}</div>
          </Link>
        )
      })}
    </section>
  )
}
