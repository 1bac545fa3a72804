// Deploy log and application log side by side. `new` marks a kind of line that was not seen before the order began.
import { useMemo, type ReactNode } from 'react'
import { millis, useFormat, useWord } from '../../components/language'
import { LogView, type LogViewLine } from '../../components/LogView'
import { Panel } from '../../components/Panel'
import { Tag } from '../../components/State'
import { Say } from '../../components/Text'
import type { LogLine, Order } from '../../data/api'
import { useLogs } from '../../data/live'
import { useServiceLog } from '../../data/queries'
import { fresh, lineTone } from '../../lib/kinds'

export interface AppLine extends LogLine { fresh: boolean }

/** The service's newest lines and those that come, with the new kinds marked. */
export function useAppLog(service: string, hosts: ReadonlySet<string>, since: number | undefined): AppLine[] {
  const read = useServiceLog(service)
  const live = useLogs({ service })
  return useMemo(() => {
    const first = (read.data ?? []).filter((line) => hosts.size === 0 || hosts.has(line.host))
    const key = (line: LogLine): string => `${line.at} ${line.host} ${line.text}`
    const known = new Set(first.map(key))
    const lines = [...first, ...live.filter((line) => (hosts.size === 0 || hosts.has(line.host)) && !known.has(key(line)))].slice(-600)
    const marked = fresh(lines.map((line) => ({ text: line.text, at: millis(line.at), host: line.host })), since)
    return lines.map((line, index) => ({ ...line, fresh: marked.has(index) }))
  }, [read.data, live, hosts, since])
}

export function Logs({ order, lines, host, since }: { order: Order | undefined; lines: readonly AppLine[]; host: string | undefined; since: number | undefined }): ReactNode {
  const word = useWord()
  const format = useFormat()
  const deploy = useMemo<LogViewLine[]>(
    () => (order?.story ?? []).filter((note) => !host || note.host === host || !note.host).map((note, index) => ({
      id: index, at: note.at, who: note.host ?? word('deploy.log.plan'),
      text: <><Say text={note.text} links={false} />{note.note && <span className="t3"> {note.note}</span>}</>,
      tone: note.tone === 'bad' || note.tone === 'halted' ? 'bad' : note.tone === 'ok' || note.tone === 'rolled_back' ? 'ok' : undefined,
    })),
    [order?.story, host, word],
  )
  const app = useMemo<LogViewLine[]>(
    () => lines.filter((line) => !host || line.host === host).map((line, index) => ({ id: `${line.at} ${index}`, at: line.at, who: line.host, text: line.text, tone: lineTone(line.text), fresh: line.fresh ? word('deploy.log.new') : undefined })),
    [lines, host, word],
  )
  const kinds = lines.filter((line) => line.fresh).length
  return (
    <div className="logs">
      <Panel title={word('deploy.log')} note={host ?? word('deploy.log.all')}><LogView lines={deploy} name={word('deploy.log')} /></Panel>
      <Panel title={word('deploy.log.app')} note={host ?? undefined} actions={kinds > 0 && since !== undefined ? <Tag fresh>{word('deploy.log.kinds', { count: kinds, time: format.clock(since) })}</Tag> : undefined}>
        <LogView lines={app} name={word('deploy.log.app')} />
      </Panel>
    </div>
  )
}
