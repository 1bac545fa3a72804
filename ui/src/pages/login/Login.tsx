// Name and password, or a one-time link that needs neither. Says the same for a wrong name and a wrong password.
import { useEffect, useRef, useState, type FormEvent, type ReactNode } from 'react'
import { useSearch } from '../../components/address'
import { Logo } from '../../components/Icon'
import { useFormat, useWord } from '../../components/language'
import { Glyph } from '../../components/State'
import type { Login as Body, LoginLink, Me } from '../../data/api'
import { ApiError, post } from '../../data/http'
import { change, useSettings } from '../../data/settings'

/** Only an address of this page, so that a link can't send anyone elsewhere. */
export function ownAddress(next: unknown): string {
  return typeof next === 'string' && /^\/(?![/\\])/.test(next) && !next.startsWith('/login') ? next : '/'
}

export default function Login(): ReactNode {
  const word = useWord()
  const format = useFormat()
  const { language } = useSettings()
  const search = useSearch()
  const link = typeof search['link'] === 'string' ? search['link'] : undefined
  const [problem, setProblem] = useState<string>()
  const [busy, setBusy] = useState(link !== undefined)
  const tried = useRef(false)
  const enter = (): void => location.replace(ownAddress(search['next']))
  const said = (error: unknown, wrong: string): string => {
    if (!(error instanceof ApiError) || error.status === 0) return word('error.network')
    if (error.status === 429) return word('login.throttled', { left: format.duration((error.retryAfter ?? 30) * 1000) })
    return error.status === 401 || error.status === 400 || error.status === 403 ? wrong : error.message
  }
  useEffect(() => {
    if (link === undefined || tried.current) return
    tried.current = true
    post<Me>('/login/link', { token: link } satisfies LoginLink).then(enter, (error: unknown) => {
      setProblem(said(error, word('login.link.wrong')))
      setBusy(false)
    })
  }, [link])
  useEffect(() => {
    document.title = `${word('login.go')} - flyball`
  }, [word])
  const submit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    setBusy(true)
    setProblem(undefined)
    post<Me>('/login', { name: String(form.get('name')), password: String(form.get('password')) } satisfies Body).then(enter, (error: unknown) => {
      setProblem(said(error, word('login.wrong')))
      setBusy(false)
    })
  }
  return (
    <main className="login">
      <div className="panel pb" style={{ width: 'min(360px, 100%)', padding: 20 }}>
        <div className="row between">
          <span className="row b" style={{ fontSize: 15 }}><Logo />flyball</span>
          <button type="button" className="btn quiet small" aria-label={word('head.language')} onClick={() => change({ language: language === 'zh' ? 'en' : 'zh' })}>{language === 'zh' ? 'English' : '中文'}</button>
        </div>
        <h1 style={{ margin: '14px 0 4px' }}>{word('login.title')}</h1>
        {search['ended'] && !problem && <p className="t2 sm">{word('login.ended')}</p>}
        {problem && <p className="row top bad" role="alert" style={{ margin: '8px 0' }}><Glyph shape="bad" tone="" /><span>{problem}</span></p>}
        {link !== undefined && busy ? (
          <p className="t2" role="status">{word('login.link')}</p>
        ) : (
          <form onSubmit={submit}>
            <label className="lab" htmlFor="name">{word('login.name')}</label>
            <input className="inp" id="name" name="name" autoComplete="username" autoCapitalize="none" required maxLength={64} autoFocus />
            <label className="lab" htmlFor="password">{word('login.password')}</label>
            <input className="inp" id="password" name="password" type="password" autoComplete="current-password" required maxLength={1024} />
            <button className="btn pri" style={{ width: '100%', marginTop: 16, height: 34 }} disabled={busy}>{word('login.go')}</button>
          </form>
        )}
      </div>
    </main>
  )
}
