// A new order: which artifact, on which servers, in which turns, why; what would happen is shown before anything is made.
import { useNavigate } from '@tanstack/react-router'
import { useQuery } from '@tanstack/react-query'
import { useDeferredValue, useState, type ReactNode } from 'react'
import { HoldButton } from '../../components/HoldButton'
import { useFormat, useWord } from '../../components/language'
import { Fact, Sheet } from '../../components/Sheet'
import { Glyph } from '../../components/State'
import { useVerbs } from '../../components/verb'
import { Loading, Problem } from '../../components/Waiting'
import type { NewOrder as Body, Order, Place, Plan, Strategy } from '../../data/api'
import { post } from '../../data/http'
import { newOrder } from '../../data/queries'
import { Ways } from './Servers'

/** What the server says about an order that is not made. */
interface Preview { plan: Plan; text: string; servers: number }

export function NewOrder({ place, hosts, strategy, onStrategy, onClose }: { place: Place; hosts: readonly string[]; strategy: Strategy; onStrategy: (strategy: Strategy) => void; onClose: () => void }): ReactNode {
  const word = useWord()
  const format = useFormat()
  const navigate = useNavigate()
  const verbs = useVerbs('new order')
  const on = new Set(place.servers.flatMap((row) => (row.release ? [row.release.digest] : [])))
  const [artifact, setArtifact] = useState(() => (place.artifacts.find((one) => !on.has(one.digest)) ?? place.artifacts[0])?.digest ?? '')
  const [reason, setReason] = useState('')
  const [sure, setSure] = useState(false)
  const chosen = place.artifacts.find((one) => one.digest === artifact)
  const whole = hosts.length === 0 || hosts.length === place.servers.length
  const body: Body = { service: place.service, environment: place.environment, artifact, strategy, hosts: whole ? [] : [...hosts], reason: reason.trim() }
  const asked = useDeferredValue(JSON.stringify({ ...body, reason: '', dry_run: true }))
  const preview = useQuery({ queryKey: ['preview', asked], queryFn: ({ signal }) => post<Preview>('/orders', JSON.parse(asked) as Body, signal), enabled: artifact !== '', retry: false, staleTime: 5_000, placeholderData: (before) => before })
  const count = preview.data?.servers ?? 0
  const off = artifact === '' || verbs.asked !== undefined || preview.data === undefined || preview.isError || count === 0
  const go = async (): Promise<void> => {
    if (off) return
    const made = await verbs.run('order', () => newOrder(body))
    if (!made) return
    const number = (made as Order).number ?? (made as { order?: string | null }).order
    onClose()
    if (number) void navigate({ to: `/deploy/${place.project}/${place.service}/${place.environment}/${number}` })
  }
  const title = word('order.new.title', { service: place.service, environment: place.environment.toUpperCase() })
  const label = word('order.new.go', { count })
  const action = place.confirm ? (
    sure ? <button type="button" className="btn pri" onClick={() => void go()}>{word('order.new.check')}</button>
      : <HoldButton className="btn pri" onHeld={() => void go()} onAsk={() => setSure(true)} disabled={off}>{word('order.new.hold', { count })}</HoldButton>
  ) : <button type="button" className="btn pri" aria-disabled={off || undefined} onClick={() => void go()}>{label}</button>
  return (
    <Sheet opened onClose={onClose} title={title} wide action={action}>
      {place.artifacts.length === 0 ? <p className="t2">{word('order.new.artifact.none', { service: place.service })}</p> : (
        <>
          <label className="lab" htmlFor="order-artifact">{word('order.new.artifact')}</label>
          <select id="order-artifact" className="inp mono" data-autofocus value={artifact} onChange={(event) => { setArtifact(event.target.value); setSure(false) }}>
            {place.artifacts.slice(0, 200).map((one) => <option key={one.digest} value={one.digest}>{`${one.version}  ${one.name}  ${one.digest.slice(0, 8)}  ${format.when(one.at)}`}</option>)}
          </select>
          <label className="lab" htmlFor="order-reason">{word('order.new.reason')}</label>
          <input id="order-reason" className="inp" value={reason} maxLength={1_000} onChange={(event) => setReason(event.target.value)} />
          <div className="row wrap" style={{ margin: '10px 0' }}>
            <span className="t2 sm">{word('order.new.hosts')}: {whole ? word('order.new.hosts.all', { count: place.servers.length }) : hosts.join(', ')}</span>
            <span className="end"><Ways strategy={strategy} onStrategy={(next) => { onStrategy(next); setSure(false) }} most={place.servers.length} /></span>
          </div>
          <h3>{word('order.new.preview')}</h3>
          {preview.error ? <Problem error={preview.error} /> : preview.data ? (
            <>
              <ul>
                <Fact glyph={<Glyph shape="release" />}>{word('order.new.preview.count', { count, version: chosen?.version ?? '', batches: preview.data.plan.batches.length, min: preview.data.plan.min_in_service })}</Fact>
                {place.approval && <Fact glyph={<Glyph shape="person" />}>{word('order.new.approval')}</Fact>}
              </ul>
              <pre className="code plantext" tabIndex={0} aria-label={word('order.new.preview')}>{preview.data.text}</pre>
            </>
          ) : <Loading rows={5} />}
          {verbs.problem && <p className="bad sm" role="alert">{verbs.problem}</p>}
        </>
      )}
    </Sheet>
  )
}
