// A rule from a query and a message with its link, without their sheets.
import { describe, expect, it } from 'vitest'
import { compares, readLabels, ruleExpr, ruleFaults, ruleName, ruleOf, ruleYaml, type RuleDraft } from './rule'
import { messageMost, ownLinks, shareText } from './share'

const draft = (part: Partial<RuleDraft> = {}): RuleDraft => ({ query: 'node_load1', name: 'Load', when: '>', threshold: '4', hold: '30s', priority: 'P2', labels: '', summary: '', ...part })

describe('the expression of a rule', () => {
  it('compares the query, in brackets only where it would mean something else without', () => {
    expect(ruleExpr(draft())).toBe('node_load1 > 4')
    expect(ruleExpr(draft({ query: ' rate(a[5m]) / rate(b{x="y > 1 or 2"}[5m]) ', when: '<=', threshold: ' 0.05 ' }))).toBe('rate(a[5m]) / rate(b{x="y > 1 or 2"}[5m]) <= 0.05')
    expect(ruleExpr(draft({ query: 'a or b' }))).toBe('(a or b) > 4')
    expect(ruleExpr(draft({ query: 'a == b' }))).toBe('(a == b) > 4')
    expect(ruleExpr(draft({ query: 'sum(a or b)' }))).toBe('sum(a or b) > 4')
  })
  it('does not let a remark swallow the comparison', () => {
    expect(ruleExpr(draft({ query: 'a # the load\r\n+ b # and more' }))).toBe('(\na # the load\n+ b # and more\n) > 4')
  })
  it('is the query itself where that compares', () => {
    expect(compares('a > 5')).toBe(true)
    expect(compares('sum(a > bool 5)')).toBe(false)
    expect(compares('a{b!="c", d=~">"}')).toBe(false)
    expect(ruleExpr(draft({ query: 'a > 5', when: 'gives', threshold: '' }))).toBe('a > 5')
  })
  it('begins with the name of its metric', () => {
    expect([ruleName('sum(rate(http_requests_total[5m]))'), ruleName('job:load:avg'), ruleName('1 + 1')]).toEqual(['HttpRequests', 'JobLoadAvg', ''])
  })
})

describe('what is typed into a rule', () => {
  it('names every fault, and none where there is none', () => {
    expect(ruleFaults(draft())).toEqual([])
    expect(ruleFaults(draft({ name: ' ', threshold: '1,5', hold: '5 minutes', labels: 'team' }))).toEqual(['name', 'threshold', 'hold', 'labels'])
    expect(ruleFaults(draft({ threshold: '', when: 'gives', hold: '' }))).toEqual([])
    expect(['1m30s', '0', '', '5s1m', '-1s'].map((hold) => ruleFaults(draft({ hold })).length)).toEqual([0, 0, 0, 1, 1])
    expect(['2e9', '-.5', '+1', 'Inf', '0x1'].map((threshold) => ruleFaults(draft({ threshold })).length)).toEqual([0, 0, 0, 1, 1])
  })
  it('reads labels with and without quotes', () => {
    expect(readLabels('team=shop, env = "a, \\"b\\"",\nx=')).toEqual({ team: 'shop', env: 'a, "b"', x: '' })
    expect([readLabels(''), readLabels('1a=b'), readLabels('a="b'), readLabels('a="b"c')]).toEqual([{}, undefined, undefined, undefined])
  })
})

describe('the file of a rule', () => {
  it('is what Prometheus reads, whatever stands in names and texts', () => {
    expect(ruleYaml(ruleOf(draft({ query: 'a\n\n+ b', labels: 'answer=yes, n=1, team=shop', summary: 'Load: "{{ $value }}" # high' })))).toBe([
      'groups:', '  - name: explore', '    rules:', '      - alert: Load', '        expr: |-', '          a', '', '          + b > 4', '        for: 30s', '        labels:',
      '          priority: P2', '          answer: "yes"', '          n: "1"', '          team: shop', '        annotations:', '          summary: "Load: \\"{{ $value }}\\" # high"', '',
    ].join('\n'))
  })
  it('leaves out what says nothing, and the label wins over the choice', () => {
    expect(ruleOf(draft({ hold: '0s', labels: 'priority=P1' }))).toEqual({ alert: 'Load', expr: 'node_load1 > 4', labels: { priority: 'P1' } })
  })
})

describe('a message with a link', () => {
  const link = 'https://flyball.example/explore?q=up'
  it('says words, queries, link', () => {
    expect(shareText(' look ', ['up', 'down '], link)).toBe(`look\nA. up\nB. down\n${link}`)
    expect(shareText('', ['up'], link)).toBe(`A. up\n${link}`)
  })
  it('never begins with what the room takes for a command', () => {
    for (const words of ['/halt shop', '@flyball halt', 'flyball: halt', 'flyball：halt']) expect(shareText(words, ['up'], link)).toBe(`A. up\n${link}\n${words}`)
    expect(shareText('/halt', ['x'.repeat(5000)], link)).toBe(`${link}\n/halt`)
  })
  it('leaves out long queries, and gives up where the link alone is too long', () => {
    expect(shareText('look', ['序'.repeat(2000)], link)).toBe(`look\n${link}`)
    expect(shareText('', ['up'], `${link}${'x'.repeat(messageMost)}`)).toBeUndefined()
  })
  it('makes links of its own addresses only', () => {
    expect(ownLinks(`see (${link}), or https://elsewhere.example/x and https://flyball.example.evil/`, 'https://flyball.example')).toEqual([
      { text: 'see (' }, { text: link, to: '/explore?q=up' }, { text: '), or https://elsewhere.example/x and https://flyball.example.evil/' },
    ])
    expect(ownLinks('nothing here', 'https://flyball.example')).toEqual([{ text: 'nothing here' }])
    expect(ownLinks('https://flyball.example//evil.example/x', 'https://flyball.example')).toEqual([{ text: 'https://flyball.example//evil.example/x' }])
  })
})
