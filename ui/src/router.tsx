// Addresses: every page's routes under the frame, bare ones (login) beside it. The query string is plain text, repeated names are lists.
import { createRootRoute, createRoute, createRouter, lazyRouteComponent, Outlet, useLocation } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { Link } from '@tanstack/react-router'
import { Frame } from './components/Frame'
import { useWord } from './components/language'
import { nearest } from './lib/distance'
import { navigation, pages } from './pages/registry'

function parse(text: string): Record<string, string | string[]> {
  const found: Record<string, string | string[]> = {}
  for (const [name, value] of new URLSearchParams(text)) {
    const before = found[name]
    found[name] = before === undefined ? value : Array.isArray(before) ? [...before, value] : [before, value]
  }
  return found
}

function write(search: Record<string, unknown>): string {
  const pairs = new URLSearchParams()
  for (const [name, value] of Object.entries(search)) for (const one of Array.isArray(value) ? value : [value]) if (one !== undefined && one !== null) pairs.append(name, String(one))
  const text = pairs.toString()
  return text ? `?${text}` : ''
}

function Lost(): ReactNode {
  const word = useWord()
  const path = useLocation({ select: (location) => location.pathname })
  const near = nearest(path, navigation.map((nav) => nav.to))
  return (
    <section className="panel pb">
      <h1>{word('error.lost', { path })}</h1>
      {near && <p className="t2">{word('error.lost.nearest', { nearest: '' })}<Link to={near} className="in mono">{near}</Link></p>}
      <p style={{ marginTop: 8 }}><Link to="/" className="btn">{word('error.to_overview')}</Link></p>
    </section>
  )
}

const root = createRootRoute({ component: Outlet, notFoundComponent: Lost })
const framed = createRoute({ getParentRoute: () => root, id: 'framed', component: Frame, notFoundComponent: Lost })
const all = pages.flatMap((page) => page.routes)
const child = (route: (typeof all)[number]) => ({ path: route.path, component: lazyRouteComponent(route.load) })

framed.addChildren([
  ...all.filter((route) => !route.bare).map((route) => createRoute({ getParentRoute: () => framed, ...child(route) })),
  createRoute({ getParentRoute: () => framed, path: '$', component: Lost }),
])
root.addChildren([framed, ...all.filter((route) => route.bare).map((route) => createRoute({ getParentRoute: () => root, ...child(route) }))])

export const router = createRouter({ routeTree: root, parseSearch: parse, stringifySearch: write, defaultPreload: 'intent', scrollRestoration: true })
