// Explore in a room's words: what is shown as a message with its link; and links of this page in what others said. Pure.

/** Most bytes of a message, as the server takes it. */
export const messageMost = 4_096

const bytes = (text: string): number => new TextEncoder().encode(text).length

/**
 * Words, queries, link. Words that the room would take for a command (`/check`, `@flyball`) stand last. Queries that leave no room for the link are
 * left out: the link has them. Undefined: the link alone is too long.
 */
export function shareText(words: string, queries: readonly string[], link: string): string | undefined {
  const said = words.trim()
  const listed = queries.map((query, index) => `${String.fromCharCode(65 + index)}. ${query.trim()}`)
  const addressed = /^[/@]|^\S+[:：]/.test(said)
  const tries = [listed, []].map((lines) => (addressed ? [...lines, link, said] : [said, ...lines, link]))
  return tries.map((lines) => lines.filter((line) => line !== '').join('\n')).find((text) => bytes(text) <= messageMost)
}

export interface Part { text: string; /** Where it leads on this page's own server. */ to?: string }

/** The addresses of `origin` in a text. Any other address stays text: what others write must not lead away. */
export function ownLinks(text: string, origin: string): Part[] {
  const found: Part[] = []
  let last = 0
  for (const match of text.matchAll(/https?:\/\/[^\s<>"]+/g)) {
    const address = match[0].replace(/[.,;:!?)\]，。；：！？）】]+$/, '')
    // `//elsewhere` behind the origin would be another server's address.
    if (!address.startsWith(`${origin}/`) || address.startsWith(`${origin}//`)) continue
    if (match.index > last) found.push({ text: text.slice(last, match.index) })
    found.push({ text: address, to: address.slice(origin.length) })
    last = match.index + address.length
  }
  if (last < text.length) found.push({ text: text.slice(last) })
  return found
}
