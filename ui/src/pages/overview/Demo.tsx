// The demo's two buttons: release the good version or the bad one. Only there when the server is the demo.
import type { ReactNode } from 'react'
import { isMoving } from '../../components/BrakeBar'
import { useFormat, useWord } from '../../components/language'
import { Panel } from '../../components/Panel'
import type { Overview } from '../../data/api'
import { useDemo, useDemoRelease, useMe } from '../../data/queries'
import { orderTail } from '../../lib/text'

export function Demo({ overview }: { overview: Overview }): ReactNode {
  const word = useWord()
  const format = useFormat()
  const demo = useDemo(useMe().data?.demo === true).data
  const release = useDemoRelease()
  if (!demo) return null
  const moving = overview.running.find((order) => order.service === demo.service && (isMoving(order) || order.state === 'approved'))
  const why = moving ? word('overview.demo.wait', { order: orderTail(moving.number) }) : undefined
  const off = why !== undefined || release.isPending
  const refused = (release.data as { outcome?: { is: string; text: { id: string } } } | undefined)?.outcome
  return (
    <Panel name={word('overview.demo')}>
      <div className="row wrap demo">
        <span className="b">{word('overview.demo')}</span>
        <span className="t2 sm grow">{why ?? word('overview.demo.what', { service: demo.service })}</span>
        {release.error && <span className="bad sm" role="alert">{release.error.message}</span>}
        {refused?.is === 'refused' && <span className="bad sm" role="alert">{format.text(refused.text)}</span>}
        {(['good', 'bad'] as const).map((kind) => (
          <button key={kind} type="button" className={kind === 'bad' ? 'btn dan' : 'btn'} aria-disabled={off || undefined} title={why} onClick={() => !off && release.mutate(kind)}>
            {release.isPending && release.variables === kind ? word('overview.demo.asked') : word(`overview.demo.${kind}`, { version: demo.releases[kind] ?? '' })}
          </button>
        ))}
      </div>
    </Panel>
  )
}
