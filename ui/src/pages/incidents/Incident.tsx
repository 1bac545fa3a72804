// One incident: title, figures, story on one time axis, suspects with their evidence, who was told. One primary button: the next step.
import { Link } from '@tanstack/react-router'
import { useMemo, useState, type FormEvent, type ReactNode } from 'react'
import './incident.css'
import { usePathParam } from '../../components/address'
import { Graph, type GraphFlag } from '../../components/Graph'
import { HoldButton } from '../../components/HoldButton'
import { Icon } from '../../components/Icon'
import { useKey } from '../../components/keyboard'
import { millis, useFormat, useWord } from '../../components/language'
import { Panel } from '../../components/Panel'
import { Fact, Sheet } from '../../components/Sheet'
import { Glyph, Pill, State, Tag } from '../../components/State'
import { Say, Time } from '../../components/Text'
import { alertShape, rowShape, toneShape } from '../../components/tones'
import { Empty, Fresh, Loaded, Problem } from '../../components/Waiting'
import type { Incident as IncidentData, Suspect, Told } from '../../data/api'
import { useNow } from '../../data/clock'
import { ApiError } from '../../data/http'
import { useRange } from '../../data/prom'
import { ask, client, useIncident, useTimeline } from '../../data/queries'
import { unitOf } from '../../lib/number'
import { queryStep } from '../../lib/range'
import { orderTail } from '../../lib/text'

export default function Incident(): ReactNode {
  const word = useWord()
  const number = usePathParam('number')
  const query = useIncident(number)
  if (query.error instanceof ApiError && query.error.status === 404) {
    return <><h1>{word('incident.unknown', { number })}</h1><Panel name={word('nav.incidents')}><Problem error={query.error} actions={<Link to="/incidents" className="btn small">{word('nav.incidents')}</Link>} /></Panel></>
  }
  if (query.data === undefined) return <><h1>#{number}</h1><Panel name={`#${number}`}><Loaded query={query} rows={6}>{() => null}</Loaded></Panel></>
  return <Fresh className="stack"><Whole incident={query.data} /></Fresh>
}

function Whole({ incident }: { incident: IncidentData }): ReactNode {
  const word = useWord()
  const format = useFormat()
  const now = useNow(1000)
  const [asked, setAsked] = useState<string>()
  const [problem, setProblem] = useState<unknown>()
  const [note, setNote] = useState('')
  const say = (text: string): Promise<boolean> => {
    setAsked(text)
    setProblem(undefined)
    return ask({ text, yes: true })
      .then((answer) => {
        if (answer.outcome?.is === 'refused') throw new Error(format.text(answer.outcome.text))
        void client.invalidateQueries({ queryKey: ['incident', String(incident.number)] })
        return true
      })
      .catch((error: unknown) => {
        setProblem(error)
        return false
      })
      .finally(() => setAsked(undefined))
  }
  const next = incident.state === 'open' ? 'ack' : incident.state === 'acknowledged' ? 'resolve' : undefined
  useKey('e', () => next && void say(`${next} ${incident.number}`), next !== undefined)
  const onset = millis(incident.onset)
  const end = incident.recovered_at ? millis(incident.recovered_at) : now
  const after = (at: string | null | undefined): string => (at ? format.duration(millis(at) - onset) : word('incident.not_yet'))
  const firstTold = incident.told.flatMap((told) => (told.result.is === 'delivered' ? [told.result.at] : [])).sort()[0]
  const figures: [string, string, string][] = [
    [word('incident.hurt'), format.duration(end - onset), `${format.clock(onset, 1)}${incident.recovered_at ? ` - ${format.clock(end, 1)}` : ''}`],
    [word('incident.opened'), after(incident.opened_at), format.clock(incident.opened_at, 1)],
    [word('incident.told'), after(firstTold), firstTold ? format.clock(firstTold, 1) : ''],
    [word('incident.acknowledged'), after(incident.acknowledged_at), incident.acknowledged_at ? format.clock(incident.acknowledged_at, 1) : ''],
    [word('incident.changes'), String(incident.changes_seen), ''],
    [word('incident.open'), format.duration((incident.resolved_at ? millis(incident.resolved_at) : now) - millis(incident.opened_at)), format.when(incident.opened_at)],
  ]
  const write = (event: FormEvent): void => {
    event.preventDefault()
    const text = note.trim()
    // What was typed is kept until the note is written.
    if (text) void say(`note ${incident.number} ${text}`).then((well) => well && setNote(''))
  }
  const where = [incident.scope.service, incident.scope.environment?.toUpperCase()].filter(Boolean).join(', ')
  return (
    <>
      <div>
        <div className="row sm"><Link to="/incidents">{word('nav.incidents')}</Link><Icon name="right" className="t3" /><span className="mono t2">#{incident.number}</span></div>
        <div className="row wrap">
          <h1 className="grow">{format.text(incident.title)}</h1>
          <button type="button" className="btn pri act-next" aria-disabled={!next || asked !== undefined || undefined} onClick={() => next && asked === undefined && void say(`${next} ${incident.number}`)}>
            {incident.state === 'open' && <Glyph shape="person" tone="" />}{asked && asked.startsWith(next ?? '-') ? word('incident.asked') : word(incident.state === 'open' ? 'incident.acknowledge' : next ? 'incident.resolve' : 'incident.resolved')}{next && <kbd>E</kbd>}
          </button>
        </div>
        <div className="row wrap" style={{ marginTop: 4 }}>
          <Tag>{incident.priority}</Tag>
          {incident.recovered_at ? <Pill shape="ok">{word('incidents.state.recovered', { time: format.when(incident.recovered_at) })}</Pill> : <Pill shape="bad">{word('incidents.state.bad', { span: format.duration(Math.floor((now - onset) / 1000) * 1000) })}</Pill>}
          {incident.acknowledged_at && <Pill shape="person">{word('incident.by', { person: incident.owner ?? '', time: format.when(incident.acknowledged_at) })}</Pill>}
          <span className="t2 sm">{where}{incident.recovered_at && next === 'resolve' ? `. ${word('incident.waits')}` : ''}</span>
        </div>
        {problem !== undefined && <Problem error={problem} />}
      </div>
      <dl className="panel facts">{figures.map(([name, value, small]) => <div key={name}><dt className="t2 sm">{name}</dt><dd><b>{value}</b><span className="t3 sm">{small}</span></dd></div>)}</dl>
      <div className="two">
        <div className="stack">
          <Panel title={word('incident.story')} note={word('incident.story.note')}>
            <StoryGraph incident={incident} />
            <ol className="evs inc">
              {incident.story.map((line, index) => (
                <li key={index}><Glyph shape={toneShape[line.tone]} /><Time at={line.at} clock digits={1} /><span className="t3 xs num">{format.offset(millis(line.at) - onset)}</span><span className="prose"><Say text={line.text} />{line.by && <span className="t3"> {line.by}</span>}</span></li>
              ))}
            </ol>
            <form className="row note" onSubmit={write}>
              <input className="inp" aria-label={word('incident.note')} placeholder={word('incident.note')} maxLength={4096} value={note} onChange={(event) => setNote(event.target.value)} />
              <button className="btn" disabled={note.trim() === '' || asked !== undefined}>{word('incident.note.add')}</button>
            </form>
          </Panel>
        </div>
        <div className="stack">
          <Panel title={word('incident.suspects')} note={word('incident.suspects.note', { count: incident.changes_seen })}>
            {incident.suspects.length === 0 ? <Empty title={word('incident.suspects.none')}>{word('incident.suspects.hint')}</Empty> : <ol>{incident.suspects.map((suspect, index) => <SuspectRow key={suspect.seq} suspect={suspect} rank={index + 1} onUndo={(order) => void say(`rollback ${order}`)} />)}</ol>}
          </Panel>
          <Panel title={word('incident.who')} padded>
            {incident.told.length === 0 && <p className="t2 sm">{word('incident.who.none')}</p>}
            <ul>{incident.told.map((told, index) => <li key={index} className="row told"><span className="m grow cut">{told.receiver}</span><span className="t2 sm">{told.channel}</span><ToldResult told={told} /></li>)}</ul>
          </Panel>
          <Panel title={word('incident.alerts')} padded>
            <ul>{incident.alerts.map((alert) => <li key={alert.alert} className="row told"><Link className="in grow cut" to="/explore" search={{ q: alert.expr } as never}>{alert.rule}</Link><State shape={alertShape[alert.state]} /><Time at={alert.changed_at} /></li>)}</ul>
          </Panel>
        </div>
      </div>
    </>
  )
}

function ToldResult({ told: { result } }: { told: Told }): ReactNode {
  const word = useWord()
  const format = useFormat()
  if (result.is === 'delivered') return <State shape="ok">{word('incident.told.delivered', { time: format.clock(result.at) })}</State>
  if (result.is === 'retrying') return <span title={result.why}><State shape="late">{word('incident.told.retrying', { tries: result.tries + 1, time: format.clock(result.next_at) })}</State></span>
  if (result.is === 'failed') return <span title={result.why}><State shape="bad">{word('incident.told.failed')}</State></span>
  return <State shape="running">{word('incident.told.asked')}</State>
}

function SuspectRow({ suspect, rank, onUndo }: { suspect: Suspect; rank: number; onUndo: (order: string) => void }): ReactNode {
  const word = useWord()
  const [sheet, setSheet] = useState(false)
  const undo = suspect.undo
  const sign = { for: '+', against: '-', neutral: '0' } as const
  return (
    <li className="suspect">
      <div className="row top"><span className={rank === 1 ? 'rank first' : 'rank'}>{rank}</span><span className="grow m"><Say text={suspect.change.what} /></span><span className="b">{suspect.percent}{'\u202f'}%</span></div>
      <p className="t3 sm">{suspect.change.author ? `${suspect.change.author}, ` : ''}<Time at={suspect.received_at} className="" /></p>
      <ul>{suspect.evidence.map((one, index) => <li key={index} className="row sm"><span className={one.weight === 'for' ? 'sign bad' : 'sign t3'} aria-hidden="true">{sign[one.weight]}</span><span className="sr">{word(`incident.weight.${one.weight}`)}</span><Say text={one.text} /></li>)}</ul>
      {(undo || suspect.change.order) && (
        <div className="row wrap" style={{ marginTop: 6 }}>
          {undo && <HoldButton className="btn small dan" glyph={<Glyph shape="rolled_back" tone="" />} onHeld={() => onUndo(undo)} onAsk={() => setSheet(true)}>{word('incident.undo')}</HoldButton>}
          {suspect.change.order && <Link className="in sm" to={`/orders/${suspect.change.order}`}>{word('incident.open_release')}</Link>}
        </div>
      )}
      {undo && (
        <Sheet opened={sheet} onClose={() => setSheet(false)} title={word('incident.undo.ask', { order: orderTail(undo) })}
          action={<button type="button" data-autofocus className="btn danf" onClick={() => { setSheet(false); onUndo(undo) }}>{word('incident.undo.go', { order: orderTail(undo) })}</button>}>
          <ul><Fact glyph={<Glyph shape="rolled_back" />}><Say text={suspect.change.what} links={false} /></Fact><Fact glyph={<Glyph shape="ok" />}>{word('incident.undo.what')}</Fact></ul>
        </Sheet>
      )}
    </li>
  )
}

/** The expression of the first alert from 40 s before the onset to 20 s after recovery, with the flags of that time. */
function StoryGraph({ incident }: { incident: IncidentData }): ReactNode {
  const format = useFormat()
  const now = useNow(5000)
  const onset = millis(incident.onset)
  const suspect = incident.suspects[0] ? millis(incident.suspects[0].received_at) : onset
  const from = Math.max(onset - 600_000, Math.min(onset - 40_000, suspect - 10_000))
  const to = incident.recovered_at ? millis(incident.recovered_at) + 40_000 : Math.max(now, onset + 30_000)
  const alert = incident.alerts[0]
  // Without its comparison the rule's expression is the number that is compared; the comparison alone would only show bad moments.
  const expr = alert?.expr.replace(/\s*(?:>=|<=|==|!=|>|<)\s*(?:bool\s+)?[-+.\deE]+\s*$/, '') ?? ''
  const result = useRange(expr, { from, to }, queryStep(from, to, 300, 0.5), { enabled: expr !== '' })
  const timeline = useTimeline({ from: new Date(from).toISOString(), to: new Date(to).toISOString(), ...(incident.scope.service ? { service: incident.scope.service } : {}) })
  const flags = useMemo<GraphFlag[]>(() => (timeline.data ?? []).flatMap((row) => (row.flag ? [{ at: millis(row.at), shape: rowShape(row), name: row.flag, title: format.text(row.text), id: row.seq }] : [])), [timeline.data, format])
  const name = alert?.rule ?? format.text(incident.title)
  return (
    <Graph name={name} times={result.data?.times ?? []} loading={result.isPending} unit={unitOf(expr)} from={from} to={to} height={150} flags={flags}
      series={(result.data?.series ?? []).slice(0, 8).map((one) => ({ name: Object.entries(one.labels).filter(([label]) => label !== '__name__').map(([, value]) => value).join(' ') || name, values: one.values }))} />
  )
}
