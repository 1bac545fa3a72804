// The judge: shares of bad answers of new and old servers since the batch is in, with bands that hold at any time; counts; one sentence.
import { useMemo, type ReactNode } from 'react'
import { Graph, type GraphFlag, type GraphSeries } from '../../components/Graph'
import { millis, useFormat, useWord } from '../../components/language'
import { Panel } from '../../components/Panel'
import type { Order } from '../../data/api'
import { useNow } from '../../data/clock'
import { useRange } from '../../data/prom'
import { oneIn, side, type Counters } from '../../lib/judge'
import { queryStep } from '../../lib/range'
import { active, backendOf, balancerNames, newSince } from './parts'

/** The root of the engine's own bound: a good release is halted at most once in 1,000. */
const weight = Math.sqrt(1_000)
const label = (text: string): string => JSON.stringify(text)

export function JudgePanel({ order }: { order: Order }): ReactNode {
  const word = useWord()
  const judged = order.plan.batches.some((batch) => batch.gate.judge)
  return (
    <Panel title={word('deploy.judge')} note={judged ? word('deploy.judge.note') : undefined} className="judge">
      <div className="pb">
        {judged ? <><Shares order={order} /><Verdict order={order} /></> : <p className="t2">{word('deploy.judge.off')}</p>}
      </div>
    </Panel>
  )
}

function Shares({ order }: { order: Order }): ReactNode {
  const word = useWord()
  const format = useFormat()
  const now = useNow(1000)
  const since = useMemo(() => newSince(order), [order])
  const first = since.size > 0 ? Math.min(...since.values()) : order.started_at ? millis(order.started_at) : millis(order.created_at)
  const end = order.halted_at && order.state !== 'running' ? millis(order.halted_at) + 2_500 : order.ended_at ? millis(order.ended_at) : now
  const from = first - 1_000
  const to = Math.max(end, from + 5_000)
  const backend = backendOf(order)
  const step = queryStep(from, to, 240, 0.2)
  // Never asked beyond now: an answer about seconds that are yet to come would be kept as if it were whole.
  const range = { from: Math.floor(from / 1000) * 1000, to: Math.min(Math.ceil(to / 1000) * 1000, Math.floor((now - 500) / 1000) * 1000) }
  const which = `haproxy_server_http_responses_total{proxy=${label(backend ?? '')}`
  const all = useRange(`sum by (server) (${which}})`, range, step, { enabled: backend !== undefined && order.started_at != null })
  const bad = useRange(`sum by (server) (${which},code="5xx"})`, range, step, { enabled: backend !== undefined && order.started_at != null })
  const drawn = useMemo(() => {
    const counters: Counters[] = (all.data?.series ?? []).map((series) => {
      const server = series.labels['server'] ?? ''
      const found = bad.data?.series.find((one) => one.labels['server'] === server)
      return { server, all: series.values, bad: found?.values ?? series.values.map((value) => (value === null ? null : 0)) }
    })
    const times = all.data?.times ?? []
    const ours = new Set(balancerNames(order).values())
    const fresh = side(times, counters, (server) => since.get(server), weight)
    const old = side(times, counters, (server) => (since.has(server) || (ours.size > 0 && !ours.has(server)) ? undefined : first), weight)
    const series: GraphSeries[] = [
      { name: word('deploy.judge.new'), values: fresh.share, color: '--new' },
      { name: word('deploy.judge.old'), values: old.share, color: '--old' },
    ]
    const bands = [
      { low: fresh.low, high: fresh.high, name: word('deploy.judge.band'), color: '--new-band' },
      { low: old.low, high: old.high, name: word('deploy.judge.band'), color: '--old-band' },
    ]
    // The band is very wide for the first answers: the axis follows the shares, and what is above is cut.
    const most = Math.max(0.008, ...fresh.share.map((value) => value ?? 0), ...old.share.map((value) => value ?? 0)) * 1.6
    for (const band of bands) {
      band.high = band.high.map((value) => (value === null ? null : Math.min(value, most)))
      band.low = band.low.map((value) => (value === null ? null : Math.min(value, most)))
    }
    return { times, series, bands }
  }, [all.data, bad.data, order, since, first, word])
  const flags = useMemo<GraphFlag[]>(() => (order.halted_at ? [{ at: millis(order.halted_at), shape: 'halted', name: word('orders.state.halted'), title: word('brake.halted', { time: format.clock(order.halted_at, 1) }), id: 'halted' }] : []), [order.halted_at, word, format])
  return <Graph name={word('deploy.judge.note')} times={drawn.times} series={drawn.series} bands={drawn.bands} unit="ratio" from={from} to={to} height={128} flags={flags} ends loading={all.isPending} group="judge" />
}

function Verdict({ order }: { order: Order }): ReactNode {
  const word = useWord()
  const format = useFormat()
  const judge = order.judge
  if (!judge || judge.evidence.new_all === 0) return <p className="t2 verdict">{word(active.has(order.state) ? 'deploy.judge.none' : 'deploy.judge.ended')}</p>
  const { new_bad, new_all, old_bad, old_all, e_value } = judge.evidence
  const rare = judge.verdict === 'worse' ? oneIn(e_value) : undefined
  const share = (part: number, whole: number): string => format.measure(whole > 0 ? part / whole : 0, 'ratio')
  return (
    <div aria-live="polite">
      <p className="verdict">
        <b className={judge.verdict === 'worse' ? 'bad' : 'ok'}>{word(judge.verdict === 'worse' ? 'deploy.judge.worse' : 'deploy.judge.same')}</b>{' '}
        {word('deploy.judge.counts', { new_bad, new_all, new_share: share(new_bad, new_all), old_bad, old_all, old_share: share(old_bad, old_all) })}
      </p>
      <p className="t3 sm">{word('deploy.judge.looks')} {rare && word('deploy.judge.rare', { one_in: rare })}</p>
    </div>
  )
}
