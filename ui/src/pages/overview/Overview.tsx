// Is anything hurting, what changed, who is waited for? Sentence, numbers, the newest story, services, heartbeats, who is on call.
import type { ReactNode } from 'react'
import './overview.css'
import { Panel } from '../../components/Panel'
import { Fresh, Loaded } from '../../components/Waiting'
import { useOverview } from '../../data/queries'
import { useWord } from '../../components/language'
import { Demo } from './Demo'
import { Head } from './Head'
import { Machine } from './Machine'
import { Numbers } from './Numbers'
import { Heartbeats, OnCall, Services } from './Rows'
import { Story } from './Story'

export default function Overview(): ReactNode {
  const word = useWord()
  const query = useOverview()
  if (query.data === undefined) {
    return (
      <>
        <h1 className="sr">{word('nav.overview')}</h1>
        <Panel name={word('nav.overview')}><Loaded query={query} rows={4} height={520}>{() => null}</Loaded></Panel>
      </>
    )
  }
  const overview = query.data
  const plain = overview.services.length === 0
  return (
    <Fresh className="stack">
      <Head overview={overview} />
      <Demo overview={overview} />
      {overview.numbers.length > 0 && <Numbers numbers={overview.numbers} story={overview.story} hurts={overview.state === 'bad'} />}
      {plain ? <Machine overview={overview} /> : <Story overview={overview} />}
      {!plain && (
        <div className="low">
          <Services rows={overview.services} />
          <div className="stack">
            <Heartbeats rows={overview.heartbeats} />
            {overview.on_call.length > 0 && <OnCall rows={overview.on_call} />}
          </div>
        </div>
      )}
      {plain && overview.heartbeats.length > 0 && <Heartbeats rows={overview.heartbeats} />}
    </Fresh>
  )
}
