// Loading, empty, error, stale: the four states that every panel has, as ui.md wants them.
import { useEffect, useState, type ReactNode } from 'react'
import { ApiError } from '../data/http'
import { useLink } from '../data/live'
import { Glyph } from './State'
import { useFormat, useWord } from './language'

/** Nothing for 200 ms, then grey bars of about the final size, after 3 s a sentence. */
export function Loading({ rows = 3, height, onCancel }: { rows?: number; height?: number | undefined; onCancel?: () => void }): ReactNode {
  const [elapsed, setElapsed] = useState(0)
  const word = useWord()
  const format = useFormat()
  useEffect(() => {
    const began = performance.now()
    const first = setTimeout(() => setElapsed(200), 200)
    const timer = setInterval(() => setElapsed(performance.now() - began), 1000)
    return () => {
      clearTimeout(first)
      clearInterval(timer)
    }
  }, [])
  const style = height ? { height } : { minHeight: rows * 19 + 20 }
  return (
    <div className="pb" style={style} aria-busy="true">
      {elapsed >= 200 && Array.from({ length: rows }, (_, row) => <div key={row} className="sk" style={{ width: ['38%', '100%', '82%', '64%'][row % 4] }} />)}
      {elapsed >= 3000 && (
        <p className="t2 sm" role="status">
          {word('wait.reading', { elapsed: format.duration(Math.floor(elapsed / 1000) * 1000) })}{' '}
          {onCancel && <button className="btn small" onClick={onCancel}>{word('do.cancel')}</button>}
        </p>
      )}
    </div>
  )
}

/** What would be here, and the next step. */
export function Empty({ title, children, actions }: { title: ReactNode; children?: ReactNode; actions?: ReactNode }): ReactNode {
  return (
    <div className="pb">
      <p className="m">{title}</p>
      {children && <div className="t2 sm">{children}</div>}
      {actions && <div className="row wrap" style={{ marginTop: 8 }}>{actions}</div>}
    </div>
  )
}

/** What failed, because of what, what to do, with the place; the id last. */
export function Problem({ error, title, onRetry, actions }: { error: unknown; title?: ReactNode; onRetry?: (() => void) | undefined; actions?: ReactNode }): ReactNode {
  const word = useWord()
  const api = error instanceof ApiError ? error : undefined
  const offline = api?.status === 0
  const message = offline ? word('error.network') : error instanceof Error ? error.message : String(error)
  const hint = offline ? word('error.network.hint') : api?.hint
  return (
    <div className="pb row top" role="alert" style={{ flexWrap: 'nowrap' }}>
      <Glyph shape="bad" />
      <div className="grow">
        <p className="m">{title ?? message}</p>
        {title && <p className="t2 sm">{message}</p>}
        {api?.place && <pre className="code" style={{ marginTop: 6 }}>{api.place}</pre>}
        {hint && <p className="t2 sm">{hint}</p>}
        <div className="row wrap" style={{ marginTop: 8 }}>
          {onRetry && <button className="btn small" onClick={onRetry}>{word('do.retry')}</button>}
          {actions}
          {api && !offline && <span className="t3 xs mono end">{api.id ?? api.code}</span>}
        </div>
      </div>
    </div>
  )
}

/** Turns its values grey when the stream is silent; nothing moves. `as of` is said once by the header. */
export function Fresh({ children, className }: { children: ReactNode; className?: string }): ReactNode {
  const stale = useLink().state === 'stale'
  return <div className={`${className ?? ''}${stale ? ' stale-values' : ''}`}>{children}</div>
}

interface QueryLike<T> { data: T | undefined; error: unknown; isPending: boolean; refetch: () => unknown }

/** The usual three ways of a query: loading, error in its panel, data. Data that is there stays when a later read fails. */
export function Loaded<T>({ query, rows, height, title, children }: { query: QueryLike<T>; rows?: number; height?: number; title?: ReactNode; children: (data: T) => ReactNode }): ReactNode {
  if (query.data !== undefined) return children(query.data)
  if (query.error) return <Problem error={query.error} title={title} onRetry={() => void query.refetch()} />
  return <Loading {...(rows === undefined ? {} : { rows })} height={height} />
}
