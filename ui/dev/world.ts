// A made-up server for development: answers the API from dev/story, streams once a second. Never part of a build.
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Connect, Plugin } from 'vite'
import type { Answer, Cardinality, ChatMessage } from '../src/data/api'
import { made, metricNames } from './series.ts'
import * as story from './story.ts'

type Handler = (url: URL, body: Record<string, unknown>, found: RegExpExecArray) => unknown

class Refused extends Error {
  constructor(readonly status: number, readonly code: string, message: string, readonly more: object = {}) {
    super(message)
  }
}

export function world(kind: string): Plugin {
  const state = kind === 'rolling' ? 'rolling_back' : kind === 'running' ? 'running' : kind === 'ask' ? 'halted' : 'rolled_back'
  const said: ChatMessage[] = [...story.chat]
  const calm = kind === 'plain'
  const answer = (text: string): Answer => ({ understood: text, text: { id: 'verb.accepted' }, well: true, parts: [], outcome: { is: 'accepted', text: { id: 'verb.accepted' } } })
  const shown = <T>(of: T): T => (kind === 'hostile' ? story.hostile(of) : of)
  const routes: [string, RegExp, Handler][] = [
    ['POST', /^\/login$/, (_, body) => { if (body.password !== 'demo') throw new Refused(401, 'wrong', 'name or password is wrong'); return story.me }],
    ['POST', /^\/login\/link$/, (_, body) => { if (body.token !== 'good') throw new Refused(401, 'wrong', 'used or too old'); return story.me }],
    ['POST', /^\/logout$/, () => ({})],
    ['GET', /^\/me$/, () => story.me],
    ['GET', /^\/overview$/, () => (kind === 'hostile' ? story.hostile(story.overview(kind)) : story.overview(kind))],
    ['GET', /^\/timeline$/, () => (calm ? [] : kind === 'hostile' ? story.hostile(story.timeline) : story.timeline)],
    ['GET', /^\/incidents$/, () => (calm || kind === 'empty' ? [] : [story.incidentRow])],
    ['GET', /^\/incidents\/(\d+)$/, (_, __, found) => { if (found[1] !== '3727') throw new Refused(404, 'unknown', `no incident ${found[1]}`, { hint: '#3727' }); return story.incident }],
    ['GET', /^\/orders$/, () => (calm || kind === 'empty' ? [] : shown([story.orderRow(state)]))],
    ['GET', /^\/orders\/([\w-]+)\/plan$/, () => 'plan schema 1\nproject mall service shop environment prod\nnever fewer than 5 in service\nbatch 1\n  host shop-1 before 4.11.3\n'],
    ['GET', /^\/orders\/([\w-]+)\/log$/, () => []],
    ['GET', /^\/orders\/([\w-]+)$/, () => shown(story.fullOrder(state))],
    ['POST', /^\/orders$/, () => story.fullOrder('approved')],
    ['GET', /^\/services$/, () => story.overview(kind).services],
    ['GET', /^\/services\/([\w-]+)\/([\w-]+)\/([\w-]+)$/, (_, __, found) => shown(story.place(found[1]!, found[2]!, found[3]!, state))],
    ['GET', /^\/changes$/, () => story.incident.suspects.map((suspect) => ({ seq: suspect.seq, received_at: suspect.received_at, change: suspect.change }))],
    ['GET', /^\/chat$/, () => [{ name: 'ops', newest: said.at(-1) }, { name: 'db' }]],
    ['POST', /^\/chat\/([\w-]+)$/, (_, body, found) => { said.push({ seq: 200 + said.length, room: found[1]!, at: new Date().toISOString(), by: 'Zhao Wei', bot: false, body: { is: 'said', text: String(body.text) } }); return { seq: 200, id: 'said' } }],
    ['GET', /^\/chat\/([\w-]+)$/, (url, _, found) => (url.searchParams.has('before') || found[1] !== 'ops' ? [] : shown(said))],
    ['POST', /^\/command$/, (_, body) => { if (body.room) said.push({ seq: 200 + said.length, room: String(body.room), at: new Date().toISOString(), by: 'Zhao Wei', bot: false, body: { is: 'said', text: String(body.text) } }); return answer(String(body.text)) }],
    ['GET', /^\/demo$/, () => { if (calm) throw new Refused(404, 'unknown', 'this is not the demo'); return { service: 'shop', environment: 'prod', releases: { good: '4.12.1', bad: '4.12.0' } } }],
    ['POST', /^\/demo\/release$/, () => answer('deploy shop')],
    ['GET', /^\/completion$/, () => []],
    ['POST', /^\/rules\/backtest$/, (_, body) => ({ from: body.from, to: body.to, exact_from: null, samples: 5400, late: 0, left_out: 0, changes: [], rules: [{ name: 'Load', times: 1, bad_for: '3m20s', longest: '3m20s', recorded: 0, spells: [{ from: new Date(Date.parse(String(body.to)) - 600_000).toISOString(), to: new Date(Date.parse(String(body.to)) - 400_000).toISOString(), labels: { host: 'shop-2' } }] }] })],
    ['GET', /^\/store\/cardinality$/, (url) => shown(counted(url.searchParams.get('match[]'), url.searchParams.get('label')))],
  ]
  return {
    name: 'made-up-world',
    configureServer(server) {
      server.middlewares.use(answerApi)
    },
    // `vite preview` shows what was built, under the server's own content policy.
    configurePreviewServer(server) {
      server.middlewares.use(answerApi)
      server.middlewares.use((request, response, next) => {
        const path = (request.url ?? '/').split('?')[0]!
        if (path !== '/' && path.includes('.')) return next()
        const nonce = randomBytes(16).toString('hex')
        const page = readFileSync(new URL('../dist/index.html', import.meta.url), 'utf8').replace('<head>', `<head><meta name="csp-nonce" content="${nonce}" />`)
        response.setHeader('content-security-policy', `default-src 'none'; script-src 'self'; style-src 'self' 'nonce-${nonce}'; img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'`)
        response.setHeader('content-type', 'text/html; charset=utf-8')
        response.end(page)
      })
    },
  }

  function answerApi(request: IncomingMessage, response: ServerResponse, next: Connect.NextFunction): void {
    const url = new URL(request.url ?? '/', 'http://here')
    if (!url.pathname.startsWith('/api/')) return next()
    void serve(request, response, url).catch((error: unknown) => {
      const refused = error instanceof Refused ? error : new Refused(500, 'internal', String(error))
      send(response, refused.status, { error: { code: refused.code, message: refused.message, ...refused.more } })
    })
  }

  async function serve(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    if (kind === 'broken' && !url.pathname.endsWith('/me')) throw new Refused(500, 'full', 'flyball could not write to disk: 0 B free', { hint: 'Alerts and pages go on.', id: '0193-5e2a' })
    if (url.pathname.endsWith('/live')) return live(response)
    if (url.pathname.startsWith('/api/v1/')) return send(response, 200, prometheus(url))
    const text = await new Promise<string>((done) => {
      let all = ''
      request.on('data', (part: Buffer) => { all += part.toString() })
      request.on('end', () => done(all))
    })
    const path = url.pathname.replace('/api/flyball/v1', '')
    for (const [method, pattern, handler] of routes) {
      const found = pattern.exec(path)
      if (method === request.method && found) return send(response, 200, handler(url, text ? (JSON.parse(text) as Record<string, unknown>) : {}, found))
    }
    throw new Refused(404, 'unknown', `no route ${path}`)
  }

  function live(response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' })
    const tell = (): void => void response.write(`event: overview\ndata: ${JSON.stringify(kind === 'hostile' ? story.hostile(story.overview(kind)) : story.overview(kind))}\n\n`)
    tell()
    const timer = kind === 'stale' ? undefined : setInterval(tell, 1000)
    response.on('close', () => clearInterval(timer))
  }

  function prometheus(url: URL): unknown {
    const query = url.searchParams.get('query') ?? ''
    if (url.pathname.endsWith('/labels')) return { status: 'success', data: ['__name__', 'code', 'host', 'instance', 'job', 'mode', 'service'] }
    if (url.pathname.includes('/label/')) return { status: 'success', data: url.pathname.includes('__name__') ? metricNames : ['shop', 'pay', 'search'] }
    if (url.pathname.endsWith('/metadata')) return { status: 'success', data: Object.fromEntries(metricNames.map((name) => [name, [{ type: name.endsWith('_total') ? 'counter' : 'gauge', help: `What ${name} is.`, unit: '' }]])) }
    if (url.pathname.endsWith('/format_query') && !query.includes('((')) return { status: 'success', data: query }
    if (/^\w+$/.test(query) && !metricNames.includes(query)) return { status: 'success', data: { resultType: 'matrix', result: [] } }
    if (query.includes('((')) throw new Refused(400, 'bad_request', 'unexpected "(": a name or a number belongs here', { place: `line 1, column ${query.indexOf('((') + 2}` })
    const now = Date.now() / 1000
    const end = Number(url.searchParams.get('end') ?? now)
    const start = Number(url.searchParams.get('start') ?? now)
    const step = Number(url.searchParams.get('step') ?? 1)
    const result = made(query, calm).map(({ metric, value }) => {
      const values: [number, string][] = []
      for (let second = start; second <= end; second += step) {
        const found = value(second)
        if (found !== undefined) values.push([second, String(found)])
      }
      return { metric, values, value: values.at(-1) ?? [now, '0'] }
    })
    return { status: 'success', data: { resultType: url.pathname.endsWith('query_range') ? 'matrix' : 'vector', result } }
  }
}

/** Where made-up series come from: one metric with a label that has far too many values. */
function counted(match: string | null, label: string | null): Cardinality {
  const series = match ? 4_120 : 61_840
  const of = (names: readonly string[]): { name: string; series: number }[] => names.map((name, index) => ({ name, series: Math.ceil(series / 2 ** (index + 1)) }))
  const metrics = of(match ? [/\w+/.exec(match)?.[0] ?? 'up'] : metricNames)
  const sources = of(['shop-1', 'shop-2', 'shop-3', 'shop-4'])
  const values = label ? of(Array.from({ length: 12 }, (_, n) => `/item/${1_000 + n}`)) : []
  const labels = [{ name: 'path', series, values: 1_030, value_bytes: 10_300 }, { name: 'instance', series, values: 4, value_bytes: 24 }, { name: 'code', series, values: 3, value_bytes: 9 }]
  const pairs = of(['200', '404', '500']).map(({ name, series: count }) => ({ name: 'code', value: name, series: count }))
  return {
    series, series_max: 2_000_000, series_per_source_max: 64_000, source_label: 'instance', metrics, metrics_total: metrics.length, labels, labels_total: labels.length + 1, pairs, pairs_total: pairs.length,
    sources, sources_total: sources.length, values, values_total: label ? 1_030 : 0,
  }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  const text = typeof body === 'string'
  response.writeHead(status, { 'content-type': text ? 'text/plain; charset=utf-8' : 'application/json' })
  response.end(text ? body : JSON.stringify(body))
}
