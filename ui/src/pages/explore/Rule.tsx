// A rule from a query: when it is bad, for how long, how urgent; read by the server as it is typed, tried on what was, and copied as a file.
import { useId, useState, type ReactNode } from 'react'
import { CopyButton } from '../../components/Copy'
import { millis, useFormat, useWord } from '../../components/language'
import { Sheet } from '../../components/Sheet'
import { Glyph } from '../../components/State'
import { Problem } from '../../components/Waiting'
import type { BacktestReport } from '../../data/api'
import { ApiError, post } from '../../data/http'
import { useSyntax } from '../../data/prom'
import type { Unit } from '../../lib/number'
import { errorSaid } from '../../lib/place'
import { parseSpan } from '../../lib/range'
import { comparisons, compares, groupName, priorities, ruleExpr, ruleFaults, ruleName, ruleOf, ruleYaml, type RuleDraft } from '../../lib/rule'
import { useSettled } from './settled'

interface Props {
  query: string
  unit: Unit
  /** What its series came to in the range that is shown. */
  reach: { min: number; max: number } | undefined
  range: { from: number; to: number }
  onClose: () => void
}

const day = 86_400_000
/** A long list of times says no more than its first few. */
const spellsShown = 5

type Tried = { is: 'running' } | { is: 'failed'; error: unknown } | { is: 'done'; report: BacktestReport }

export function Rule({ query, unit, reach, range, onClose }: Props): ReactNode {
  const word = useWord()
  const format = useFormat()
  const id = useId()
  const [draft, setDraft] = useState<RuleDraft>(() => ({ query, name: ruleName(query), when: compares(query) ? 'gives' : '>', threshold: '', hold: '30s', priority: 'P3', labels: '', summary: '' }))
  const [span, setSpan] = useState<'range' | 'day' | 'week'>('day')
  const [tried, setTried] = useState<Tried>()
  const put = (part: Partial<RuleDraft>): void => {
    setDraft({ ...draft, ...part })
    // What was tried was another rule.
    setTried(undefined)
  }
  const faults = ruleFaults(draft)
  const settled = useSettled(ruleExpr(draft), 400)
  const syntax = useSyntax(settled, !faults.includes('threshold'))
  const refused = syntax.error instanceof ApiError && settled === ruleExpr(draft) ? errorSaid(syntax.error.message === 'network' ? word('error.network') : syntax.error.message) : undefined
  const reads = syntax.data !== undefined && settled === ruleExpr(draft)
  const whole = faults.length === 0 && reads
  const rule = faults.length === 0 ? ruleOf(draft) : undefined
  const yaml = rule && ruleYaml(rule)
  const threshold = Number(draft.threshold)
  const tryIt = async (): Promise<void> => {
    if (!rule || !whole || tried?.is === 'running') return
    const to = span === 'range' ? range.to : Date.now()
    const from = span === 'range' ? range.from : to - (span === 'day' ? day : 7 * day)
    setTried({ is: 'running' })
    try {
      const report = await post<BacktestReport>('/rules/backtest', { groups: [{ name: groupName, rules: [rule] }], from: new Date(from).toISOString(), to: new Date(to).toISOString() })
      setTried((now) => (now?.is === 'running' ? { is: 'done', report } : now))
    } catch (error) {
      setTried((now) => (now?.is === 'running' ? { is: 'failed', error } : now))
    }
  }
  const field = (name: 'name' | 'hold' | 'labels' | 'summary', fault?: 'name' | 'hold' | 'labels', more?: { placeholder?: string; mono?: boolean }): ReactNode => {
    const wrong = fault !== undefined && faults.includes(fault)
    return (
      <div>
        <label className="lab" htmlFor={`${id}${name}`}>{word(`rule.${name}`)}</label>
        <input id={`${id}${name}`} className={more?.mono ? 'inp mono' : 'inp'} value={draft[name]} maxLength={1000} placeholder={more?.placeholder} aria-invalid={wrong || undefined} aria-describedby={wrong ? `${id}${name}-why` : undefined} autoComplete="off" spellCheck={false}
          onChange={(event) => put({ [name]: event.target.value })} />
        {wrong && fault && <p id={`${id}${name}-why`} className="bad sm">{word(`rule.bad.${fault}`)}</p>}
      </div>
    )
  }
  return (
    <Sheet opened onClose={onClose} title={word('rule.title')} wide
      action={yaml && whole ? <CopyButton className="btn pri" text={() => yaml}>{word('rule.copy')}</CopyButton> : <button type="button" className="btn pri" aria-disabled="true" aria-describedby={`${id}said`}>{word('rule.copy')}</button>}>
      <p className="lab">{word('rule.query')}</p>
      <pre className="code rule-query" tabIndex={0} aria-label={word('rule.query')}>{draft.query}</pre>
      <div className="rule-when">
        <div>
          <label className="lab" htmlFor={`${id}when`}>{word('rule.when')}</label>
          <select id={`${id}when`} className="inp" value={draft.when} onChange={(event) => put({ when: event.target.value as RuleDraft['when'] })}>
            {comparisons.map((one) => <option key={one} value={one}>{word('rule.when.is', { comparison: one })}</option>)}
            <option value="gives">{word('rule.when.gives')}</option>
          </select>
        </div>
        {draft.when !== 'gives' && (
          <div>
            <label className="lab" htmlFor={`${id}threshold`}>{word('rule.threshold')}</label>
            <input id={`${id}threshold`} className="inp mono" inputMode="decimal" value={draft.threshold} data-autofocus autoComplete="off" aria-invalid={(draft.threshold !== '' && faults.includes('threshold')) || undefined} aria-describedby={`${id}reach`} onChange={(event) => put({ threshold: event.target.value })} />
          </div>
        )}
        {field('hold', 'hold', { mono: true, placeholder: '30s' })}
        <div>
          <label className="lab" htmlFor={`${id}priority`}>{word('rule.priority')}</label>
          <select id={`${id}priority`} className="inp" value={draft.priority} onChange={(event) => put({ priority: event.target.value as RuleDraft['priority'] })}>{priorities.map((one) => <option key={one}>{one}</option>)}</select>
        </div>
      </div>
      <p id={`${id}reach`} className="t3 sm rule-reach">
        {draft.when === 'gives' ? word('rule.gives.note') : draft.threshold !== '' && faults.includes('threshold') ? <span className="bad">{word('rule.bad.threshold')}</span>
          : [draft.threshold !== '' && unit !== 'none' ? word('rule.threshold.is', { value: format.measure(threshold, unit) }) : '', reach ? word('rule.reach', { min: format.measure(reach.min, unit), max: format.measure(reach.max, unit) }) : ''].filter(Boolean).join(' ') || word('rule.threshold.note')}
      </p>
      <div className="rule-more">
        {field('name', 'name')}
        {field('labels', 'labels', { mono: true, placeholder: 'team=shop, env=prod' })}
        {field('summary')}
      </div>
      <p className="lab">{word('rule.file')}</p>
      <pre className="code rule-file" tabIndex={0} aria-label={word('rule.file')}>{yaml ?? word('rule.file.none')}</pre>
      <p id={`${id}said`} className="sm rule-said" role="status">
        {refused !== undefined ? <span className="bad">{refused}</span> : whole ? <span className="st ok"><Glyph shape="ok" tone="" />{word('rule.reads')}</span> : <span className="t3">{word(faults.length > 0 ? 'rule.incomplete' : 'rule.checking')}</span>}
        {' '}<span className="t3">{word('rule.where')}</span>
      </p>
      <div className="row wrap rule-try">
        <label className="t2 sm" htmlFor={`${id}span`}>{word('rule.try.over')}</label>
        <select id={`${id}span`} className="inp" value={span} onChange={(event) => { setSpan(event.target.value as typeof span); setTried(undefined) }}>
          <option value="range">{word('rule.try.range')}</option><option value="day">{word('rule.try.day')}</option><option value="week">{word('rule.try.week')}</option>
        </select>
        <button type="button" className="btn" aria-disabled={!whole || tried?.is === 'running' || undefined} onClick={() => void tryIt()}>{word('rule.try')}</button>
      </div>
      <div className="rule-tried" role="status">
        {tried?.is === 'running' && <p className="t2 sm">{word('rule.try.running')}</p>}
        {tried?.is === 'done' && <Told report={tried.report} />}
      </div>
      {tried?.is === 'failed' && <Problem error={tried.error} onRetry={() => void tryIt()} />}
    </Sheet>
  )
}

/** What it would have told, as a sentence, a strip of the time, and the first few times. */
function Told({ report }: { report: BacktestReport }): ReactNode {
  const word = useWord()
  const format = useFormat()
  const rule = report.rules[0]
  if (!rule) return null
  const range = { from: millis(report.from), to: millis(report.to) }
  const percent = (at: number): number => Math.max(0, Math.min(100, ((at - range.from) / (range.to - range.from)) * 100))
  const spells = rule.spells.map((spell) => ({ from: millis(spell.from), to: spell.to ? millis(spell.to) : undefined, labels: Object.entries(spell.labels).filter(([name]) => name !== 'alertname' && name !== 'priority').map(([name, value]) => `${name}=${value}`).join(', ') }))
  const exact = report.exact_from ? millis(report.exact_from) : undefined
  return (
    <>
      <p className="m">
        {report.samples === 0 ? word('rule.told.no_data') : rule.spells.length === 0 && rule.times === 0 ? word('rule.told.never')
          : word('rule.told', { times: rule.times, whole: format.duration(parseSpan(rule.bad_for)), longest: format.duration(parseSpan(rule.longest)) })}
      </p>
      {report.missed?.map((said) => <p key={said} className="bad sm">{said}</p>)}
      {rule.failed && <p className="bad sm">{word('rule.told.failed', { why: rule.failed })}</p>}
      <div className="strip" aria-hidden="true">{spells.map((spell, index) => <i key={index} style={{ left: `${percent(spell.from)}%`, width: `max(2px, ${percent(spell.to ?? range.to) - percent(spell.from)}%)` }} />)}</div>
      <div className="row between t3 xs"><span>{format.within(range.from, range)}</span><span>{format.within(range.to, range)}</span></div>
      <ol className="spells sm">
        {spells.slice(0, spellsShown).map((spell, index) => (
          <li key={index}><span className="mono t2 nw">{format.within(spell.from, range, 1)}</span> {spell.to === undefined ? word('rule.told.still') : format.duration(spell.to - spell.from)} <span className="t3">{spell.labels}</span></li>
        ))}
      </ol>
      {spells.length > spellsShown && <p className="t3 sm">{word('rule.told.more', { count: spells.length - spellsShown })}</p>}
      <p className="t3 sm">{exact === undefined ? word('rule.told.history') : exact <= range.from ? word('rule.told.exact') : word('rule.told.exact_from', { time: format.within(exact, range) })}</p>
    </>
  )
}
