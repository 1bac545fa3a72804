// What pages ask the server for, as hooks. Live messages are put into the same cache, so that what was read stays up to date without asking again.
import { queryOptions, QueryClient, useMutation, useQuery, type QueryKey, type UseQueryResult } from '@tanstack/react-query'
import type {
  Answer, Artifact, Ask, Cardinality, ChangeRow, ChatMessage, Demo, Incident, IncidentRow, LivePosition, LogLine, Me, NewOrder, Order, OrderRow, Outcome, Overview, Place, ServiceRow, TimelineRow,
} from './api'
import { withTold } from '../lib/told'
import { allLines, lineKey } from '../lib/story'
import { ApiError, get, post } from './http'
import { listen } from './live'

export const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 10_000,
      refetchOnWindowFocus: false,
      // A refusal is an answer; only silence and the server's own failures are tried again.
      retry: (count, error) => count < 2 && !(error instanceof ApiError && error.status > 0 && error.status < 500),
    },
  },
})

export const me = queryOptions({ queryKey: ['me'], queryFn: ({ signal }) => get<Me>('/me', undefined, signal), staleTime: Infinity })
export const overview = queryOptions({ queryKey: ['overview'], queryFn: ({ signal }) => get<Overview>('/overview', undefined, signal) })

export const useMe = (): UseQueryResult<Me> => useQuery(me)
export const useOverview = (): UseQueryResult<Overview> => useQuery(overview)

export interface TimelineParams { from: string; to?: string; service?: string | undefined; environment?: string }
export const useTimeline = (params: TimelineParams | undefined): UseQueryResult<TimelineRow[]> =>
  useQuery({
    queryKey: ['timeline', params],
    queryFn: async ({ signal }) => withTold(await get<TimelineRow[]>('/timeline', { ...params }, signal), [], toldLines.filter((row) => open(params, row)), rowKey),
    enabled: params !== undefined,
    placeholderData: (before) => before,
  })

/** All lines of the range, not only the newest hundred; `linesMost` where there are more. */
export const useWholeTimeline = (params: TimelineParams | undefined): UseQueryResult<TimelineRow[]> =>
  useQuery({
    queryKey: ['timeline', params, 'whole'],
    queryFn: async ({ signal }) =>
      withTold(await allLines((limit, before) => get<TimelineRow[]>('/timeline', { ...params, limit, before }, signal)), [], toldLines.filter((row) => open(params, row)), rowKey),
    enabled: params !== undefined,
    placeholderData: (before) => before,
  })

export const useIncidents = (params: { state?: string; service?: string } = {}): UseQueryResult<IncidentRow[]> =>
  useQuery({ queryKey: ['incidents', params], queryFn: ({ signal }) => get<IncidentRow[]>('/incidents', params, signal), placeholderData: (before) => before })
export const useIncident = (number: string | number | undefined): UseQueryResult<Incident> =>
  useQuery({ queryKey: ['incident', String(number)], queryFn: ({ signal }) => get<Incident>(`/incidents/${number}`, undefined, signal), enabled: number !== undefined })

export const useOrders = (params: { service?: string; environment?: string; state?: string } = {}): UseQueryResult<OrderRow[]> =>
  useQuery({ queryKey: ['orders', params], queryFn: ({ signal }) => get<OrderRow[]>('/orders', params, signal), placeholderData: (before) => before })
export const useOrder = (number: string | undefined): UseQueryResult<Order> =>
  useQuery({ queryKey: ['order', number], queryFn: ({ signal }) => get<Order>(`/orders/${number}`, undefined, signal), enabled: number !== undefined })
/** The plan's canonical text, whose digest approvals sign. */
export const usePlanText = (number: string | undefined, enabled = true): UseQueryResult<string> =>
  useQuery({ queryKey: ['plan', number], queryFn: ({ signal }) => get<string>(`/orders/${number}/plan`, { format: 'text' }, signal), enabled: enabled && number !== undefined })
export const useOrderLog = (number: string | undefined): UseQueryResult<LogLine[]> =>
  useQuery({ queryKey: ['order-log', number], queryFn: ({ signal }) => get<LogLine[]>(`/orders/${number}/log`, undefined, signal), enabled: number !== undefined })

export const useServices = (): UseQueryResult<ServiceRow[]> =>
  useQuery({ queryKey: ['services'], queryFn: ({ signal }) => get<ServiceRow[]>('/services', undefined, signal) })
export const usePlace = (place: { project: string; service: string; environment: string } | undefined): UseQueryResult<Place> =>
  useQuery({
    queryKey: ['place', place?.project, place?.service, place?.environment],
    queryFn: ({ signal }) => get<Place>(`/services/${place?.project}/${place?.service}/${place?.environment}`, undefined, signal),
    enabled: place !== undefined,
    // Balancer figures come with each read; the stream only says that something changed.
    refetchInterval: 2_000,
  })
export const useArtifacts = (): UseQueryResult<Artifact[]> =>
  useQuery({ queryKey: ['artifacts'], queryFn: ({ signal }) => get<Artifact[]>('/artifacts', undefined, signal) })
export const useChanges = (params: { from?: string; to?: string; service?: string }): UseQueryResult<ChangeRow[]> =>
  useQuery({ queryKey: ['changes', params], queryFn: ({ signal }) => get<ChangeRow[]>('/changes', params, signal), placeholderData: (before) => before })

export const useChat = (room: string): UseQueryResult<ChatMessage[]> =>
  useQuery({
    queryKey: ['chat', room],
    queryFn: async ({ signal }) => {
      const found = await get<ChatMessage[]>(`/chat/${room}`, undefined, signal)
      return withTold(found, client.getQueryData<ChatMessage[]>(['chat', room]) ?? [], toldMessages.filter((message) => message.room === room), messageKey)
    },
  })
/** Rooms with their newest message. */
export const useRooms = (): UseQueryResult<{ name: string; newest?: ChatMessage | null }[]> =>
  useQuery({ queryKey: ['rooms'], queryFn: ({ signal }) => get<{ name: string; newest?: ChatMessage | null }[]>('/chat', undefined, signal) })
/** The newest lines of a service's log, oldest first. */
export const useServiceLog = (service: string | undefined): UseQueryResult<LogLine[]> =>
  useQuery({ queryKey: ['service-log', service], queryFn: ({ signal }) => get<LogLine[]>(`/services/${service}/log`, { limit: 300 }, signal), enabled: service !== undefined })
export const olderMessages = (room: string, before: number): Promise<ChatMessage[]> => get(`/chat/${room}`, { before })

/** Where series come from. Counting walks all of them: it is asked when wanted, never by itself. */
export const useCardinality = (selector: string | undefined, label: string | undefined, limit: number, enabled = true): UseQueryResult<Cardinality> =>
  useQuery({
    queryKey: ['cardinality', selector, label, limit], enabled, staleTime: 60_000,
    queryFn: ({ signal }) => get<Cardinality>('/store/cardinality', { limit, label, ...(selector ? { 'match[]': selector } : {}) }, signal),
    // The old rows stay while the next level is counted, so that nothing jumps.
    placeholderData: (before) => before,
  })

/** Is this the demo? A server that is none answers 404. */
export const useDemo = (enabled: boolean): UseQueryResult<Demo> =>
  useQuery({ queryKey: ['demo'], queryFn: ({ signal }) => get<Demo>('/demo', undefined, signal), enabled, staleTime: Infinity })
export const useDemoRelease = () => useMutation({ mutationFn: (kind: string) => post<unknown>('/demo/release', { kind }) })

/** Says a verb, in the grammar of chat and terminal. The same `id` again with `yes` confirms it. */
export const ask = (body: Omit<Ask, 'via'> & Partial<Pick<Ask, 'via'>>): Promise<Answer> => post('/command', { via: 'page', ...body })
export const useAsk = () => useMutation({ mutationFn: ask })
export const newOrder = (body: NewOrder): Promise<Order | Outcome> => post('/orders', body)

/** One event can have several messages or lines: its place alone does not tell them apart. */
export const messageKey = (message: ChatMessage): string => `${message.seq} ${JSON.stringify(message.body)}`
const rowKey = (row: TimelineRow): string => `${row.seq} ${lineKey(row)}`

// What the stream told of late, for answers that were on their way meanwhile and do not know it.
const toldMost = 500
const toldLines: TimelineRow[] = []
const toldMessages: ChatMessage[] = []
function remember<Row>(told: Row[], row: Row): void {
  told.push(row)
  if (told.length > toldMost) told.shift()
}

/** What the stream says of a whole thing is newer than any answer that is still on its way. */
function tell(queryKey: QueryKey, data: unknown): void {
  void client.cancelQueries({ queryKey, exact: true })
  client.setQueryData(queryKey, data)
}

/** What the stream keeps up to date. */
const streamed: ReadonlySet<unknown> = new Set(['timeline', 'chat', 'incidents', 'incident', 'orders', 'order', 'place'])

/** Reads again what was read, or asked for, before the stream told everything. */
function reread(): void {
  toldLines.length = 0
  toldMessages.length = 0
  for (const query of client.getQueryCache().findAll({ type: 'active', predicate: ({ queryKey }) => streamed.has(queryKey[0]) })) {
    const again = (): void => void client.invalidateQueries({ queryKey: query.queryKey, exact: true })
    if (query.state.fetchStatus === 'fetching' && query.promise) query.promise.then(again, () => {})
    else again()
  }
}

/** Connects the stream with the cache; called once by the frame. */
export function feedCache(): () => void {
  const stops = [
    listen('position', (data) => {
      if (!(data as LivePosition).complete) reread()
    }),
    listen('overview', (data) => client.setQueryData(overview.queryKey, data as Overview)),
    listen('incident', (data) => {
      const incident = data as Incident
      tell(['incident', String(incident.number)], incident)
      void client.invalidateQueries({ queryKey: ['incidents'] })
    }),
    listen('order', (data) => {
      const order = data as Order
      tell(['order', order.number], order)
      void client.invalidateQueries({ queryKey: ['orders'] })
      void client.invalidateQueries({ queryKey: ['place', order.project, order.service, order.environment] })
    }),
    listen('chat', (data) => {
      const message = data as ChatMessage
      remember(toldMessages, message)
      client.setQueryData<ChatMessage[]>(['chat', message.room], (before) => (before && !before.some((known) => messageKey(known) === messageKey(message)) ? [...before, message] : before))
    }),
    listen('timeline', (data) => {
      const row = data as TimelineRow
      remember(toldLines, row)
      // Every timeline whose end is open takes the line; those with a fixed end are left as they are.
      client.setQueriesData<TimelineRow[]>({ queryKey: ['timeline'], predicate: (query) => open(query.queryKey[1] as TimelineParams | undefined, row) }, (before) =>
        before && !before.some((known) => rowKey(known) === rowKey(row)) ? [...before, row].sort((a, b) => a.seq - b.seq) : before,
      )
    }),
  ]
  return () => stops.forEach((stop) => stop())
}

function open(params: TimelineParams | undefined, row: TimelineRow): boolean {
  return params !== undefined && params.to === undefined && (params.service === undefined || row.scope.service === params.service) && (params.environment === undefined || row.scope.environment === params.environment)
}
