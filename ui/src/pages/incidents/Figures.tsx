// Six figures: how long it hurt, how much, how fast it was halted, noticed and told, how long it is open.
import type { ReactNode } from 'react'
import { millis, useFormat, useWord } from '../../components/language'
import type { Incident } from '../../data/api'
import { useNow } from '../../data/clock'
import { hurtFor } from '../../lib/story'
import type { Undo } from './parts'

const whole = (span: number): number => (span < 10_000 ? span : Math.floor(span / 1000) * 1000)

export function Figures({ incident, undo: { release } }: { incident: Incident; undo: Undo }): ReactNode {
  const word = useWord()
  const format = useFormat()
  const now = useNow(1000)
  const onset = millis(incident.onset)
  const end = incident.recovered_at ? millis(incident.recovered_at) : undefined
  const after = (at: string | null | undefined, from = onset): string => (at ? (millis(at) - from < 1 ? word('incident.at_once') : format.duration(millis(at) - from)) : word('incident.not_yet'))
  const told = incident.told.map((one) => (one.result.is === 'delivered' ? one.result.at : one.channel === 'chat' ? one.asked_at : undefined)).filter((at) => at !== undefined).sort()[0]
  const times = 1 + incident.story.filter((line) => line.text.id === 'incident.bad_again').length
  const judged = release?.judge?.evidence
  const bad = judged ? [format.measure(judged.new_bad), word('incident.fig.bad.old', { all: format.measure(judged.new_all), share: format.measure(judged.new_all > 0 ? judged.new_bad / judged.new_all : null, 'ratio') })] : ['-', word('incident.fig.bad.none')]
  const value = incident.alerts.find((alert) => alert.value != null)
  const halted = release?.halted_at
  const figures: [string, string, string][] = [
    [word('incident.fig.hurt'), format.duration(whole(hurtFor(onset, incident.story, end ?? now))), times > 1 ? word('incident.fig.hurt.times', { count: times, from: format.clock(onset) }) : end ? word('incident.fig.hurt.range', { from: format.clock(onset, 1), to: format.clock(end, 1) }) : word('incident.fig.hurt.since', { from: format.clock(onset, 1) })],
    judged || !value ? [word('incident.fig.bad'), bad[0]!, bad[1]!] : [word('incident.fig.value'), format.measure(value.value), value.rule],
    [word('incident.fig.halted'), halted && release?.started_at ? after(halted, millis(release.started_at)) : '-', !halted ? word('incident.fig.halted.none') : release?.ended_at && release.state === 'rolled_back' ? word('incident.fig.halted.back', { span: after(release.ended_at, millis(halted)) }) : format.clock(halted, 1)],
    [word('incident.fig.noticed'), after(incident.opened_at), word('incident.fig.noticed.opened', { time: format.clock(incident.opened_at, 1) })],
    [word('incident.fig.told'), after(told), incident.acknowledged_at ? word('incident.fig.told.answered', { span: after(incident.acknowledged_at) }) : word(told ? 'incident.fig.told.waits' : 'incident.fig.told.nobody')],
    [word('incident.fig.open'), format.duration(whole((incident.resolved_at ? millis(incident.resolved_at) : Math.max(now, millis(incident.opened_at))) - millis(incident.opened_at))), incident.resolved_at ? word('incident.fig.open.until', { time: format.when(incident.resolved_at) }) : word('incident.fig.open.since', { time: format.when(incident.opened_at) })],
  ]
  return (
    <section className="panel" aria-label={word('incident.figures')}>
      <dl className="facts">{figures.map(([name, figure, small]) => <div key={name}><dt className="t2 sm">{name}</dt><dd><b>{figure}</b><span className="t3 sm">{small}</span></dd></div>)}</dl>
    </section>
  )
}
