import { describe, expect, it } from 'vitest'
import { allLines, flagOf, hurtFor, incidentStory, linesMost, tidy, type Line } from './story'

const line = (second: number, id: string, more: Partial<Line> = {}): Line => ({ at: `2026-11-22T10:15:0${second}Z`, text: { id }, tone: 'ok', ...more })
const ids = (lines: readonly Line[]): string[] => lines.map((one) => one.text.id)

describe('a story', () => {
  it('says each thing once, and the better of two lines that say the same', () => {
    const told = [
      line(1, 'order.created', { order: '7K', seq: 1 }), line(1, 'change.release', { order: '7K', seq: 1 }), line(1, 'change.release', { order: '7K', seq: 1 }),
      line(3, 'change.rollback', { order: '7K', seq: 3 }), line(3, 'order.rolled_back', { order: '7K', seq: 3 }),
    ]
    expect(ids(tidy(told))).toEqual(['change.release', 'order.rolled_back'])
  })
  it('keeps the lesser line when the better one is of another order', () => {
    expect(ids(tidy([line(1, 'order.created', { order: '7K' }), line(1, 'change.release', { order: '8M' })]))).toEqual(['order.created', 'change.release'])
  })
  it('of an incident has its notes between what happened to the service, and nothing of another incident', () => {
    const own = [line(2, 'incident.opened'), line(4, 'incident.note', { by: 'ana' })]
    const timeline = [line(1, 'change.release', { order: '7K', seq: 1 }), line(2, 'incident.opened', { seq: 2, incident: 3 }), line(3, 'incident.opened', { seq: 3, incident: 4 }), line(5, 'order.rolled_back', { seq: 5, order: '7K' })]
    expect(ids(incidentStory(3, own, timeline))).toEqual(['change.release', 'incident.opened', 'incident.note', 'order.rolled_back'])
  })
  describe('of a range is read to its beginning', () => {
    /** A server with so many events of so many lines each. */
    const server = (events: number, each: number) => {
      const all = Array.from({ length: events * each }, (_, at) => ({ ...line(1, `line.${at}`), seq: Math.floor(at / each) + 1 }))
      const asked: (number | undefined)[] = []
      return { all, asked, page: async (limit: number, before: number | undefined) => { asked.push(before); return all.filter((one) => before === undefined || one.seq < before).slice(-limit) } }
    }
    it.each([[30, 1, 1], [1200, 1, 3], [700, 3, 5], [2, 700, 5]])('%d events of %d lines', async (events, each, pages) => {
      const { all, asked, page } = server(events, each)
      const found = await allLines(page)
      // Of one event with more lines than a page only the newest can be had.
      expect(found).toEqual(each > 500 ? [...all.slice(200, 700), ...all.slice(900)] : all)
      expect(asked.length).toBeLessThanOrEqual(pages)
    })
    it('but not further than five thousand lines', async () => {
      const { all, page } = server(9000, 1)
      expect(await allLines(page)).toEqual(all.slice(-linesMost))
    })
  })
  it('counts only the time in which it hurt', () => {
    const onset = Date.parse('2026-11-22T10:15:00Z')
    const twice = [line(1, 'incident.opened'), line(3, 'incident.recovered'), line(7, 'incident.bad_again'), line(7, 'incident.joined'), line(8, 'incident.recovered')]
    expect(hurtFor(onset, twice, onset + 60_000)).toBe(4000)
    expect(hurtFor(onset, twice.slice(0, 4), onset + 10_000)).toBe(6000)
    expect(hurtFor(onset, [], onset + 10_000)).toBe(10_000)
  })
  it('flags a release by its name, and halt and rollback by what they are', () => {
    expect(flagOf(line(1, 'change.release', { flag: 'shop 4.12.1' }))).toEqual({ is: 'named', name: 'shop 4.12.1' })
    expect(flagOf(line(1, 'change.rollback', { flag: 'shop 4.11.3' }))).toBeUndefined()
    expect(flagOf(line(1, 'order.halted'))).toEqual({ is: 'halted' })
    expect(flagOf(line(1, 'order.batch_in'))).toBeUndefined()
  })
})
