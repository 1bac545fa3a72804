// The only door to the server: JSON in and out, one error type with the server's own words, and the way to the login page.
import type { ErrorBody } from './api'

export const base = '/api/flyball/v1'

/** A refusal as the server said it: `{error: {code, message, place?, hint?, id?}}`. */
export class ApiError extends Error {
  constructor(
    /** The status, 0 when there was no answer at all. */
    readonly status: number,
    readonly code: string,
    message: string,
    readonly place?: string,
    readonly hint?: string,
    /** Found again in the server's log. */
    readonly id?: string,
    /** Seconds to wait before another try, when the server said so. */
    readonly retryAfter?: number,
  ) {
    super(message)
  }
}

interface Refusal { error?: Partial<ErrorBody['error']> | string; errorType?: string }

async function refused(response: Response): Promise<ApiError> {
  const text = await response.text().catch(() => '')
  let body: Refusal = {}
  try {
    body = JSON.parse(text) as Refusal
  } catch {
    // Not ours (a proxy's page, say): its first words are all there is.
  }
  const wait = Number(response.headers.get('retry-after'))
  const after = Number.isFinite(wait) && wait > 0 ? wait : undefined
  // Prometheus' own form says the error as a string.
  if (typeof body.error === 'string') return new ApiError(response.status, body.errorType ?? 'error', body.error, undefined, undefined, undefined, after)
  const error = body.error ?? {}
  return new ApiError(response.status, error.code ?? `http_${response.status}`, error.message ?? (text.slice(0, 200) || response.statusText), error.place ?? undefined, error.hint ?? undefined, error.id ?? undefined, after)
}

/** The session has ended: to the login page, and back here afterwards. */
function toLogin(): void {
  if (location.pathname === '/login') return
  location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}&ended=1`)
}

async function send(method: string, path: string, body: unknown, signal: AbortSignal | undefined): Promise<unknown> {
  const absolute = path.startsWith('/api/') || path.startsWith('/-/') ? path : base + path
  let response: Response
  try {
    response = await fetch(absolute, {
      method,
      credentials: 'same-origin',
      headers: body === undefined ? { accept: 'application/json' } : { accept: 'application/json', 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal ? { signal } : {}),
    })
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === 'AbortError') throw cause
    throw new ApiError(0, 'network', 'network')
  }
  if (response.status === 401 && !path.startsWith('/login')) toLogin()
  if (!response.ok) throw await refused(response)
  if (response.status === 204) return undefined
  const type = response.headers.get('content-type') ?? ''
  return type.includes('json') ? response.json() : response.text()
}

export type Params = Readonly<Record<string, string | number | undefined | readonly string[]>>

export function query(params: Params | undefined): string {
  const pairs = new URLSearchParams()
  for (const [name, value] of Object.entries(params ?? {})) {
    if (value === undefined) continue
    for (const one of Array.isArray(value) ? (value as readonly string[]) : [value as string | number]) pairs.append(name, String(one))
  }
  const text = pairs.toString()
  return text ? `?${text}` : ''
}

export const get = <T>(path: string, params?: Params, signal?: AbortSignal): Promise<T> => send('GET', path + query(params), undefined, signal) as Promise<T>
export const post = <T>(path: string, body: unknown = {}, signal?: AbortSignal): Promise<T> => send('POST', path, body, signal) as Promise<T>
