// The frame around every page: skip link, navigation, header, brake bar, main, and on a phone the bar at the bottom.
import { Link, Outlet, useLocation, useNavigate } from '@tanstack/react-router'
import { lazy, Suspense, useEffect, useLayoutEffect, useState, type ReactNode } from 'react'
import { currentLink, start, useLink } from '../data/live'
import { client, feedCache, useMe, useOverview } from '../data/queries'
import { askZone } from '../data/settings'
import { navigation, pages, type PageEntry } from '../pages/registry'
import { useSearchText } from './address'
import { Boundary } from './Boundary'
import { BrakeBar } from './BrakeBar'
import { Header } from './Header'
import { Help } from './Help'
import { Icon, Logo } from './Icon'
import { useKey, useKeyboard } from './keyboard'
import { useFormat, useWord } from './language'
import { Sheet } from './Sheet'
import { Glyph } from './State'

const Palette = lazy(() => import('./Palette'))

type Nav = NonNullable<PageEntry['nav']>

export function Frame(): ReactNode {
  const word = useWord()
  const [palette, setPalette] = useState(false)
  const [help, setHelp] = useState(false)
  const goHint = useKeyboard()
  const path = useLocation({ select: (location) => location.pathname })
  const flush = pages.some((page) => page.routes.some((route) => route.flush && path.startsWith(route.path.split('/$')[0]!) && route.path !== '/'))
  useEffect(() => {
    const stops = [feedCache(), start()]
    return () => stops.forEach((stop) => stop())
  }, [])
  const [zone] = useSearchText('tz')
  useLayoutEffect(() => askZone(zone), [zone])
  useTabTitle()
  useRereadAfterSilence()
  useKey('Ctrl+k', () => setPalette(true))
  useKey('?', () => setHelp(true))
  return (
    <div className="app">
      <a className="skip" href="#main">{word('nav.skip')}</a>
      <Side path={path} />
      {navigation.map((nav) => <GoKey key={nav.to} nav={nav} />)}
      <div className="app-col">
        <div className="sticky">
          <Header onFind={() => setPalette(true)} onHelp={() => setHelp(true)} />
          <BrakeBar />
        </div>
        <main id="main" className={flush ? 'main flush' : 'main'} tabIndex={-1}>
          <Boundary key={path}><Suspense fallback={null}><Outlet /></Suspense></Boundary>
        </main>
      </div>
      <Tabs path={path} />
      {palette && <Suspense fallback={null}><Palette onClose={() => setPalette(false)} /></Suspense>}
      <Help opened={help} onClose={() => setHelp(false)} />
      {goHint && <div className="gohint" role="status">{navigation.map((nav) => <span key={nav.to} className="row"><kbd>{nav.key.toUpperCase()}</kbd>{word(nav.word)}</span>)}</div>}
    </div>
  )
}

const here = (path: string, nav: Nav): boolean => (nav.to === '/' ? path === '/' : path === nav.to || path.startsWith(`${nav.to.split('/').slice(0, 2).join('/')}/`) || path === `/${nav.to.split('/')[1]}`)

function GoKey({ nav }: { nav: Nav }): ReactNode {
  const navigate = useNavigate()
  useKey(`g ${nav.key}`, () => void navigate({ to: nav.to }))
  return null
}

/** How many things of a page wait for a person. */
function useCounts(): (nav: Nav) => number {
  const waiting = useOverview().data?.waiting ?? []
  return (nav) => waiting.filter((one) => (nav.to === '/' ? false : one.to === nav.to || one.to.startsWith(`/${nav.to.split('/')[1]}/`))).length
}

function Side({ path }: { path: string }): ReactNode {
  const word = useWord()
  const count = useCounts()
  let group: string | undefined
  return (
    <nav className="side" aria-label={word('nav.main')}>
      <Link to="/" className="brand"><Logo /><span className="nl">flyball</span></Link>
      {navigation.map((nav) => {
        const heading = nav.group !== group && nav.group
        group = nav.group
        const waits = count(nav)
        return [
          heading && <div key={heading} className="navh">{word(`nav.group.${heading}`)}</div>,
          <Link key={nav.to} to={nav.to} className="nav" {...(here(path, nav) ? { 'aria-current': 'page' as const } : {})} title={`${word(nav.word)} (G ${nav.key.toUpperCase()})`}>
            <Icon name={nav.icon} /><span className="nl">{word(nav.word)}</span>
            {waits > 0 && <span className="n"><span aria-hidden="true">{waits}</span><span className="sr">{word('nav.waiting', { count: waits })}</span></span>}
          </Link>,
        ]
      })}
      <Foot />
    </nav>
  )
}

function Foot(): ReactNode {
  const word = useWord()
  const format = useFormat()
  const own = useOverview().data?.own
  const stale = useLink().state === 'stale'
  if (!own) return <div className="foot" />
  const down = own.agents - own.agents_up
  const well = own.state === 'ok' && own.damaged === 0
  return (
    <div className={stale ? 'foot stale-values' : 'foot'}>
      <div className="row" style={{ gap: 6 }}><Glyph shape={well ? 'ok' : 'bad'} /><span>{word(well ? 'self.well' : 'self.unwell')}</span></div>
      {own.damaged > 0 && <div>{word('self.damaged', { count: own.damaged })}</div>}
      <div>{down > 0 ? word('self.agents_down', { up: own.agents_up, down }) : word('self.agents', { up: own.agents_up })}</div>
      <div>{word('self.saved', { time: format.when(own.saved_at) })}</div>
    </div>
  )
}

function Tabs({ path }: { path: string }): ReactNode {
  const word = useWord()
  const count = useCounts()
  const [more, setMore] = useState(false)
  const tabs = navigation.filter((nav) => nav.tab)
  const rest = navigation.filter((nav) => !nav.tab)
  useEffect(() => setMore(false), [path])
  return (
    <>
      <nav className="tabs" aria-label={word('nav.main')}>
        {tabs.map((nav) => (
          <Link key={nav.to} to={nav.to} {...(here(path, nav) ? { 'aria-current': 'page' as const } : {})}>
            <Icon name={nav.icon} />{word(nav.word)}{count(nav) > 0 && <span className="n"><span aria-hidden="true">{count(nav)}</span><span className="sr">{word('nav.waiting', { count: count(nav) })}</span></span>}
          </Link>
        ))}
        {rest.length > 0 && <button type="button" onClick={() => setMore(true)} aria-haspopup="dialog"><Icon name="more" />{word('nav.more')}</button>}
      </nav>
      <Sheet opened={more} onClose={() => setMore(false)} title={word('nav.more')}>
        <ul>{rest.map((nav) => <li key={nav.to}><Link to={nav.to} className="nav" style={{ height: 44 }} onClick={() => setMore(false)}><Icon name={nav.icon} />{word(nav.word)}</Link></li>)}</ul>
      </Sheet>
    </>
  )
}

/** The tab says the state: `! 1 bad - flyball`, and its icon changes shape. */
function useTabTitle(): void {
  const word = useWord()
  const overview = useOverview().data
  const bad = (overview?.services.filter((service) => service.state === 'bad').length ?? 0) || (overview?.state === 'bad' ? 1 : 0)
  const waits = (overview?.waiting.length ?? 0) > 0
  const path = useLocation({ select: (location) => location.pathname })
  const page = navigation.find((nav) => here(path, nav))
  const title = bad > 0 ? word('title.bad', { count: bad }) : page ? `${word(page.word)} - flyball` : 'flyball'
  useEffect(() => {
    document.title = title
  }, [title])
  const icon = bad > 0 ? '/icon-bad.svg' : waits ? '/icon-late.svg' : '/icon-ok.svg'
  useEffect(() => {
    document.getElementById('icon')?.setAttribute('href', icon)
  }, [icon])
}

/** After a silence everything that is shown is read again, so that nothing is missing or doubled. */
function useRereadAfterSilence(): void {
  const { state } = useLink()
  const [was, setWas] = useState(state)
  useEffect(() => {
    if (was === 'stale' && state === 'live') void client.invalidateQueries()
    setWas(currentLink().state)
  }, [state])
  useMe()
}
