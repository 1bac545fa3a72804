// The story: graphs with flags on one time axis, then the same as a list to a tenth of a second, and a line to write a note.
import { useRef, useState, type FormEvent, type ReactNode, type RefObject } from 'react'
import { millis, useFormat, useWord } from '../../components/language'
import { Panel } from '../../components/Panel'
import { Glyph } from '../../components/State'
import { Say, Time } from '../../components/Text'
import { TrackGraph, tracksOf, useFlags } from '../../components/Tracks'
import { rowShape } from '../../components/tones'
import type { Incident, Track } from '../../data/api'
import { useNow } from '../../data/clock'
import { useOverview } from '../../data/queries'
import { bySomeone, lineKey, type Line } from '../../lib/story'
import { reach, useStory } from './parts'

interface Props { incident: Incident; note: RefObject<HTMLInputElement | null>; onWrite: (text: string) => Promise<boolean>; busy: boolean }

/** All in one panel; on a phone `part` takes the graph or the list alone, the list newest first. */
export function Story({ incident, note, onWrite, busy, part }: Props & { part?: 'graph' | 'list' }): ReactNode {
  const word = useWord()
  const format = useFormat()
  const now = useNow(1000)
  const { from, to, live } = reach(incident, now)
  const lines = useStory(incident, from)
  const flags = useFlags(lines, incident.onset)
  const tracks = useTracks(incident)
  const [lit, setLit] = useState<string>()
  const onset = millis(incident.onset)
  const version = incident.suspects[0]?.change.what.args?.['to']
  const phone = part !== undefined
  const graph = (phone ? tracks.slice(0, 1) : tracks).map((track, index) => (
    <TrackGraph key={track.query} track={track} from={from} to={to} flags={flags} first={index === 0} version={version} height={index === 0 ? 130 : 84} live={live} axis={phone || index === tracks.length - 1} lit={lit} onLit={setLit} />
  ))
  if (part === 'graph') return <Panel name={word('incident.graph')}><div className="inc-tracks">{graph}</div></Panel>
  const shown = phone ? [...lines].reverse() : lines
  return (
    <Panel title={word('incident.story')} note={word(phone ? 'incident.story.newest' : 'incident.story.zero')} {...(phone ? {} : { actions: <Copy title={format.text(incident.title)} lines={lines} onset={onset} /> })}>
      {!phone && <div className="inc-tracks">{graph}</div>}
      <ol className="evs inc">
        {shown.map((line) => {
          const key = lineKey(line)
          return (
            <li key={key} className={lit === key ? 'lit' : ''} onPointerEnter={() => setLit(key)} onPointerLeave={() => setLit(undefined)}>
              <Glyph shape={rowShape(line as never)} /><Time at={line.at} clock digits={1} /><span className="t3 xs num">{format.offset(millis(line.at) - onset)}</span>
              <span className="prose"><Say text={line.text} short />{bySomeone(line) && <span className="t3"> {line.by}</span>}</span>
            </li>
          )
        })}
      </ol>
      <Note note={note} onWrite={onWrite} busy={busy} />
    </Panel>
  )
}

function Note({ note, onWrite, busy }: Pick<Props, 'note' | 'onWrite' | 'busy'>): ReactNode {
  const word = useWord()
  const [text, setText] = useState('')
  const own = useRef<HTMLInputElement>(null)
  const write = (event: FormEvent): void => {
    event.preventDefault()
    // What was typed is kept until it is written.
    if (text.trim() !== '' && !busy) void onWrite(text.trim()).then((well) => well && setText(''))
  }
  return (
    <form className="row note" onSubmit={write}>
      <input ref={note ?? own} className="inp grow" aria-label={word('incident.write')} placeholder={word('incident.write')} maxLength={4096} value={text} onChange={(event) => setText(event.target.value)} />
      <button className="btn" aria-disabled={text.trim() === '' || busy || undefined}>{word('incident.write.send')}</button>
    </form>
  )
}

function Copy({ title, lines, onset }: { title: string; lines: readonly Line[]; onset: number }): ReactNode {
  const word = useWord()
  const format = useFormat()
  const [copied, setCopied] = useState(false)
  const text = (): string => [`## ${title}`, '', ...lines.map((line) => `- ${format.clock(line.at, 1)} (${format.offset(millis(line.at) - onset)}) ${format.text(line.text)}${line.by ? `, ${line.by}` : ''}`), ''].join('\n')
  return <button type="button" className="btn small quiet" onClick={() => void navigator.clipboard.writeText(text()).then(() => setCopied(true), () => undefined)}>{word(copied ? 'incident.story.copied' : 'incident.story.copy')}</button>
}

/** The numbers of its service's story; the compared number of its first rule when there is one. */
function useTracks(incident: Incident): readonly Track[] {
  const overview = useOverview().data
  const rule = incident.alerts.find((alert) => alert.expr !== '')
  if (rule) {
    // Without its comparison the rule's expression is the number that is compared; the comparison alone would only show bad moments.
    const query = rule.expr.replace(/\s*(?:>=|<=|==|!=|>|<)\s*(?:bool\s+)?[-+.\deE]+\s*$/, '')
    return [...(overview ? tracksOf(overview.story, incident.scope.service ?? undefined, overview.numbers).slice(0, 1) : []), { title: rule.rule, query, unit: '' }]
  }
  return overview ? tracksOf(overview.story, incident.scope.service ?? undefined, overview.numbers) : []
}
