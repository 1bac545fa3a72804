// Lines of a log, newest at the bottom. Follows only while at its end; new lines above push nothing but a count.
import { useEffect, useLayoutEffect, useRef, useState, type ReactNode } from 'react'
import { useFormat, useWord } from './language'
import { Tag } from './State'

export interface LogViewLine {
  id: string | number
  at: string | number
  /** Host or part that speaks. */
  who?: string
  text: ReactNode
  tone?: 'bad' | 'warn' | 'ok' | undefined
  /** A kind of line not seen before. */
  fresh?: string | undefined
}

export function LogView({ lines, name, height = 220, empty }: { lines: readonly LogViewLine[]; name: string; height?: number; empty?: ReactNode }): ReactNode {
  const box = useRef<HTMLDivElement>(null)
  const [follows, setFollows] = useState(true)
  const [seen, setSeen] = useState(lines.length)
  const format = useFormat()
  const word = useWord()
  useLayoutEffect(() => {
    if (follows && box.current) box.current.scrollTop = box.current.scrollHeight
  }, [lines, follows])
  useEffect(() => {
    if (follows) setSeen(lines.length)
  }, [follows, lines.length])
  const scrolled = (): void => {
    const element = box.current
    if (element) setFollows(element.scrollHeight - element.scrollTop - element.clientHeight < 24)
  }
  const newer = lines.length - seen
  return (
    <div style={{ position: 'relative' }}>
      <div ref={box} className="log" role="log" aria-label={name} aria-live={follows ? 'polite' : 'off'} tabIndex={0} style={{ height }} onScroll={scrolled}>
        {lines.length === 0 && <div className="t3">{empty ?? word('log.empty')}</div>}
        {lines.map((line) => (
          <div key={line.id} className={line.tone}>
            <span className="at">{format.clock(line.at, 2)}</span>
            {line.who !== undefined && <span className="who">{line.who}</span>}
            <span>{line.text}{line.fresh && <> <Tag fresh>{line.fresh}</Tag></>}</span>
          </div>
        ))}
      </div>
      {!follows && newer > 0 && (
        <button type="button" className="btn small" style={{ position: 'absolute', bottom: 8, right: 16 }} onClick={() => setFollows(true)}>{word('log.newer', { count: newer })}</button>
      )}
    </div>
  )
}
