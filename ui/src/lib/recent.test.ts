// What the palette keeps, and what verbs it offers.
import { describe, expect, it } from 'vitest'
import { offers, type Known } from '../components/verbs'
import { initialsOf, parseRecents, withRecent } from './recent'

describe('recent', () => {
  it('reads only what has the right form, and no address of another site', () => {
    expect(parseRecents('nonsense')).toEqual([])
    expect(parseRecents('{"a":1}')).toEqual([])
    expect(parseRecents(JSON.stringify([{ name: 'a', to: '/x' }, { name: 'b', to: '//evil' }, { name: 'c', to: 'javascript:1' }, { name: 'd', verb: 'halt' }, null, 7]))).toEqual([{ name: 'a', to: '/x' }, { name: 'd', verb: 'halt' }])
  })
  it('keeps the newest first, each once, eight at most', () => {
    let kept = withRecent([], { name: 'a', to: '/a' })
    for (let count = 0; count < 12; count += 1) kept = withRecent(kept, { name: `n${count}`, verb: `v ${count}` })
    kept = withRecent(kept, { name: 'v', verb: 'v 7' })
    expect(kept).toHaveLength(8)
    expect(kept[0]?.verb).toBe('v 7')
    expect(kept.filter((one) => one.verb === 'v 7')).toHaveLength(1)
  })
  it('knows first letters', () => expect(initialsOf('shop, PROD')).toBe('sp'))
})

describe('offers', () => {
  const row = { project: 'mall', service: 'shop', environment: 'prod', from: '1', to: '2', author: 'lin', reason: '', hosts_done: 0, hosts: 1, created_at: '' }
  const known = {
    services: [{ project: 'mall', service: 'shop', environment: 'prod', state: 'ok', on_line: ['1'], servers_in: 1, servers: 1 }],
    orders: [{ ...row, number: '20261122-101500-7K', state: 'running' }],
    incidents: [{ number: 7, title: { id: 'plain', args: { text: 'shop hurts' } }, priority: 'P2', state: 'open', scope: {}, onset: '' }],
    rights: ['view', 'operate'],
  } as unknown as Known
  const words = { right: (right: string) => `needs ${right}`, nothing: 'nothing', title: () => 'shop hurts', state: () => 'running' }
  const texts = (typed: string): string[] => offers(typed, known, words, 20).map((one) => `${one.text.trim()}${one.off ? ' (off)' : ''}`)
  it('begins with verbs, then the things that fit them', () => {
    expect(texts('ch')).toEqual(['check shop prod', 'changes'])
    expect(texts('check sh')).toEqual(['check shop prod'])
    expect(texts('halt')).toEqual(['halt 20261122-101500-7K'])
    expect(texts('ack')).toEqual(['ack 7'])
  })
  it('shows what can not work now with its reason, after what can', () => {
    expect(texts('resolve')).toEqual(['resolve (off)'])
    expect(offers('deploy', known, words)[0]).toMatchObject({ off: true, note: 'needs release' })
    expect(texts('re')).toEqual(['restart shop prod', 'reassign 7', 'resume (off)', 'retry (off)', 'resolve (off)'])
  })
})
