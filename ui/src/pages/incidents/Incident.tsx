// One incident: what hurts, since when, because of what, is it being handled? One primary button: the next step.
import { useMediaQuery } from '@mantine/hooks'
import { Link } from '@tanstack/react-router'
import { useRef, useState, type FormEvent, type ReactNode } from 'react'
import './incident.css'
import { usePathParam } from '../../components/address'
import { HoldButton } from '../../components/HoldButton'
import { Icon } from '../../components/Icon'
import { useKey } from '../../components/keyboard'
import { millis, useFormat, useWord } from '../../components/language'
import { Panel } from '../../components/Panel'
import { PhoneBar, useOneTap } from '../../components/PhoneBar'
import { Fact, Sheet } from '../../components/Sheet'
import { Glyph, Pill, Tag } from '../../components/State'
import { useVerbs } from '../../components/verb'
import { Fresh, Loaded, Problem } from '../../components/Waiting'
import type { Incident as IncidentData, Order } from '../../data/api'
import { useNow } from '../../data/clock'
import { ApiError } from '../../data/http'
import { client, useIncident, useMe } from '../../data/queries'
import { orderTail } from '../../lib/text'
import { before, touchedCount } from '../deploy/parts'
import { Figures } from './Figures'
import { useUndo, type Undo } from './parts'
import { AtHand, WhoWasTold } from './Side'
import { Story } from './Story'
import { Suspects } from './Suspects'

export default function Incident(): ReactNode {
  const word = useWord()
  const number = usePathParam('number')
  const query = useIncident(number)
  if (query.error instanceof ApiError && query.error.status === 404) {
    return <><h1>{word('incident.unknown', { number })}</h1><Panel name={word('nav.incidents')}><Problem error={query.error} actions={<Link to="/incidents" className="btn small">{word('nav.incidents')}</Link>} /></Panel></>
  }
  if (query.data === undefined) return <><h1>#{number}</h1><Panel name={`#${number}`}><Loaded query={query} rows={6}>{() => null}</Loaded></Panel></>
  return <Fresh className="stack"><Whole key={number} incident={query.data} /></Fresh>
}

function Whole({ incident }: { incident: IncidentData }): ReactNode {
  const word = useWord()
  const format = useFormat()
  const phone = useMediaQuery('(max-width: 600px)', undefined, { getInitialValueInEffect: false })
  const undo = useUndo(incident)
  const verbs = useVerbs(`${incident.state} ${incident.owner ?? ''} ${undo.is}`)
  const rights = useMe().data?.rights
  const mayRollBack = rights === undefined || rights.includes('release')
  const [sheet, setSheet] = useState<'roll_back' | 'reassign'>()
  const note = useRef<HTMLInputElement>(null)
  const tap = useOneTap()
  const say = async (text: string): Promise<boolean> => {
    const answer = await verbs.say(text)
    void client.invalidateQueries({ queryKey: ['incident', String(incident.number)] })
    void client.invalidateQueries({ queryKey: ['incidents'] })
    return answer !== undefined && answer.outcome?.is !== 'refused'
  }
  const next = incident.state === 'open' ? 'ack' : incident.state === 'acknowledged' ? 'resolve' : undefined
  const goOn = (): void => {
    if (next && verbs.asked === undefined) void say(`${next} ${incident.number}`)
  }
  const takeBack = (): void => {
    setSheet(undefined)
    if (undo.order) void say(`rollback ${undo.order}`)
  }
  const write = (text: string): Promise<boolean> => (text.startsWith('/') ? say(text.slice(1)) : say(`note ${incident.number} ${text}`))
  useKey('e', goOn, next !== undefined)
  useKey('r', () => setSheet('reassign'), next !== undefined)
  useKey('n', () => note.current?.focus())
  const nextName = verbs.asked !== undefined && verbs.asked === next ? word('incident.asked') : word(incident.state === 'open' ? 'incident.ack' : next ? 'incident.resolve' : 'incident.resolved')
  const canUndo = undo.is === 'can' && mayRollBack && verbs.asked !== 'rollback'
  const undoReason = undo.is === 'done' ? word('incident.rolled_back') : undo.is === 'going' || verbs.asked === 'rollback' ? word('incident.rolling') : word('incident.no_undo')
  const where = [incident.scope.service, incident.scope.environment?.toUpperCase()].filter(Boolean).join(format.language === 'zh' ? '，' : ', ')
  const waits = incident.state === 'open' ? word('incident.waits.ack') : incident.state === 'acknowledged' ? (incident.recovered_at ? word('incident.waits.resolve') : word('incident.waits.end', { person: incident.owner ?? '' })) : ''
  const story = { incident, note, onWrite: write, busy: verbs.asked !== undefined }
  return (
    <>
      <div>
        <nav className="row sm crumbs" aria-label={word('incident.back')}><Link to="/incidents"><Icon name="right" className="back" />{word('nav.incidents')}</Link><Icon name="right" className="t3 wideonly" /><span className="mono t2">#{incident.number}</span><Tag>{incident.priority}</Tag></nav>
        <div className="row wrap">
          <h1 className="grow">{format.text(incident.title)}</h1>
          {!phone && (
            <div className="row wrap">
              <button type="button" className="btn" aria-keyshortcuts="N" onClick={() => note.current?.focus()}>{word('incident.note')}</button>
              <button type="button" className="btn" aria-keyshortcuts="R" aria-disabled={!next || undefined} onClick={() => next && setSheet('reassign')}>{word('incident.reassign')}</button>
              <HoldButton onHeld={takeBack} onAsk={() => setSheet('roll_back')} glyph={<Glyph shape="rolled_back" tone="" />} disabled={!canUndo} reason={canUndo ? undefined : undoReason}>{word('incident.roll_back')}</HoldButton>
              <button type="button" className="btn pri" aria-keyshortcuts="E" aria-disabled={!next || verbs.asked !== undefined || undefined} onClick={goOn}>{nextName}{next && <kbd>E</kbd>}</button>
            </div>
          )}
        </div>
        <States incident={incident} />
        <p className="t2 sm">{[where && `${where}${format.language === 'zh' ? '。' : '.'}`, why(word, undo), waits].filter(Boolean).join(format.language === 'zh' ? '' : ' ')}</p>
        {verbs.problem !== undefined && <p className="bad sm" role="alert">{verbs.problem}</p>}
      </div>
      {phone ? (
        <>
          <Story {...story} part="graph" />
          <Suspects incident={incident} undo={undo} few />
          <Story {...story} part="list" />
          <Figures incident={incident} undo={undo} />
          <WhoWasTold incident={incident} />
          <AtHand incident={incident} />
          <PhoneBar alone name={word('incident.bar')} note={word(undo.is === 'done' ? 'incident.bar.back' : 'incident.bar.stops')}>
            <button type="button" className="btn pri" aria-disabled={!next || verbs.asked !== undefined || undefined} onClick={() => tap(goOn)}><Glyph shape="person" tone="" />{nextName}</button>
            <button type="button" className="btn dan" aria-disabled={!canUndo || undefined} onClick={() => canUndo && tap(() => setSheet('roll_back'))}><Glyph shape="rolled_back" tone="" />{canUndo ? word('incident.roll_back.tap') : undoReason}</button>
          </PhoneBar>
        </>
      ) : (
        <>
          <Figures incident={incident} undo={undo} />
          <div className="two">
            <div className="stack"><Story {...story} /><AtHand incident={incident} /></div>
            <div className="stack"><Suspects incident={incident} undo={undo} /><WhoWasTold incident={incident} /></div>
          </div>
        </>
      )}
      {undo.order && <RollBackSheet opened={sheet === 'roll_back'} order={undo.order} release={undo.release} onClose={() => setSheet(undefined)} onGo={() => tap(takeBack)} />}
      <ReassignSheet opened={sheet === 'reassign'} incident={incident} onClose={() => setSheet(undefined)} onGo={(to) => { setSheet(undefined); void say(`reassign ${incident.number} ${to}`) }} />
    </>
  )
}

function why(word: ReturnType<typeof useWord>, { is, release }: Undo): string {
  if (!release) return ''
  if (is === 'done') return word('incident.why.auto')
  if (is === 'going') return word('incident.why.rolling')
  if (release.state === 'halted') return word('incident.why.halted', { count: touchedCount(release), all: Object.keys(release.hosts).length })
  return release.state === 'running' ? word('incident.why.running') : ''
}

function States({ incident }: { incident: IncidentData }): ReactNode {
  const word = useWord()
  const format = useFormat()
  const now = useNow(1000)
  const hurt = Math.floor((now - millis(incident.onset)) / 1000) * 1000
  return (
    <div className="row wrap inc-states">
      {incident.recovered_at ? <Pill shape="ok">{word('incident.state.recovered', { time: format.when(incident.recovered_at) })}</Pill> : <Pill shape="bad">{word('incident.state.bad', { span: format.duration(hurt) })}</Pill>}
      {incident.state === 'resolved' && incident.resolved_at ? <Pill shape="ok">{word('incident.state.resolved', { time: format.when(incident.resolved_at) })}</Pill>
        : incident.acknowledged_at ? <Pill shape="person">{word('incident.state.acknowledged', { person: incident.owner ?? '', time: format.when(incident.acknowledged_at) })}</Pill>
        : <Pill shape="late">{word('incident.state.nobody')}</Pill>}
    </div>
  )
}

function RollBackSheet({ opened, order, release, onClose, onGo }: { opened: boolean; order: string; release: Order | undefined; onClose: () => void; onGo: () => void }): ReactNode {
  const word = useWord()
  const count = release ? touchedCount(release) : 0
  const all = release ? Object.keys(release.hosts).length : 0
  const title = release ? word('incident.sheet.title', { service: release.service, environment: release.environment.toUpperCase() }) : word('incident.sheet.order', { order: orderTail(order) })
  return (
    <Sheet opened={opened} onClose={onClose} title={title}
      action={<button type="button" data-autofocus className="btn danf" onClick={onGo}><Glyph shape="rolled_back" tone="" />{release ? word('incident.sheet.button', { count }) : word('incident.sheet.order', { order: orderTail(order) })}</button>}>
      <ul>
        {release && <Fact glyph={<Glyph shape="rolled_back" />}>{word('incident.sheet.go', { count, from: release.release.version, to: before(release) })}</Fact>}
        {release && <Fact glyph={<Glyph shape="ok" />}>{word('incident.sheet.keep', { min: release.plan.min_in_service, all })}</Fact>}
        <Fact glyph={<Glyph shape="ok" />}>{word('incident.sheet.what', { order: orderTail(order) })}</Fact>
      </ul>
    </Sheet>
  )
}

function ReassignSheet({ opened, incident, onClose, onGo }: { opened: boolean; incident: IncidentData; onClose: () => void; onGo: (to: string) => void }): ReactNode {
  const word = useWord()
  const [to, setTo] = useState('')
  const well = /^[\p{L}\p{N}._-]{1,64}$/u.test(to.trim())
  const send = (event: FormEvent): void => {
    event.preventDefault()
    if (well) onGo(to.trim())
  }
  return (
    <Sheet opened={opened} onClose={onClose} title={word('incident.reassign.title', { number: incident.number })}
      action={<button type="submit" form="reassign" className="btn pri" aria-disabled={!well || undefined}>{word('incident.reassign.go')}</button>}>
      <form id="reassign" onSubmit={send}>
        <label className="lab" htmlFor="reassign-to">{word('incident.reassign.to')}</label>
        <input id="reassign-to" data-autofocus className="inp" value={to} list="reassign-known" autoComplete="off" maxLength={64} onChange={(event) => setTo(event.target.value)} />
        {incident.on_call && <datalist id="reassign-known"><option value={incident.on_call} /></datalist>}
      </form>
    </Sheet>
  )
}
