import { describe, expect, it } from 'vitest'
import texts from '../data/texts.json'
import { engineSentence, taken } from './engine'

describe("the engine's sentences", () => {
  it('say one as one', () => {
    expect(engineSentence('{hosts} hosts report, looked at {at}', { hosts: '1', at: '12:00' }, 'en')).toBe('1 host reports, looked at 12:00')
    expect(engineSentence('Rolling back {count} servers to {to}', { count: '1', to: '4.11.3' }, 'en')).toBe('Rolling back 1 server to 4.11.3')
    expect(engineSentence('{hosts} hosts report', { hosts: '11' }, 'en')).toBe('11 hosts report')
    expect(engineSentence('{value} times', { value: '4.1' }, 'en')).toBe('4.1 times')
  })
  it('of a first release say only where it goes', () => {
    expect(engineSentence('Release {order}: {service} {from} to {to}', { order: '7K', service: 'shop', from: '-', to: '4.11.3' }, 'en')).toBe('Release 7K: shop 4.11.3')
    expect(engineSentence('发布 {order}：{service} {from} 到 {to}', { order: '7K', service: 'shop', from: '-', to: '4.11.3' }, 'zh')).toBe('发布 7K：shop 4.11.3')
  })
  it('in Chinese have no English reason inside', () => {
    const reason = texts['because.judge']
    const said = 'new gave 6 bad answers of 66 (9.1 %), old 0 of 415 (0.0 %)'
    expect(taken(reason.en, said)).toMatchObject({ new_bad: '6', new_all: '66', old_share: '0.0 %' })
    expect(engineSentence('已中止：{because}', { because: said }, 'zh', [reason])).toBe('已中止：新版异常响应 6/66（9.1 %），旧版 0/415（0.0 %）')
    expect(engineSentence('已中止：{because}', { because: 'something else altogether' }, 'zh', [reason])).toBe('已中止：something else altogether')
  })
})
