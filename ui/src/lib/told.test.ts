import { describe, expect, it } from 'vitest'
import { withTold } from './told'

const rows = (...names: string[]): { seq: number; name: string }[] => names.map((name) => ({ seq: Number(/\d+/.exec(name)![0]), name }))
const names = (found: string[], known: string[], told: string[]): string[] => withTold(rows(...found), rows(...known), rows(...told), (row) => row.name).map((row) => row.name)

describe('an answer and what was told while it was on its way', () => {
  it.each<[string, string[], string[], string[], string[]]>([
    ['nothing was told', ['1', '2'], [], [], ['1', '2']],
    ['a row came behind the answer', ['1', '2'], [], ['3'], ['1', '2', '3']],
    ['a row that the answer has is not said twice', ['1', '2'], [], ['1', '2', '3', '3'], ['1', '2', '3']],
    ['one event told two rows', ['1'], [], ['2a', '2b'], ['1', '2a', '2b']],
    ['older pages stay', ['3', '4'], ['1', '2', '3'], [], ['1', '2', '3', '4']],
    ['an older page that began inside an event', ['3b', '4'], ['2', '3a', '3b'], [], ['2', '3a', '3b', '4']],
    ['older pages behind a gap go', ['8', '9'], ['1', '2'], ['10'], ['8', '9', '10']],
    ['the first message of an empty room', [], [], ['5'], ['5']],
  ])('%s', (_, found, known, told, expected) => expect(names(found, known, told)).toEqual(expected))
})
