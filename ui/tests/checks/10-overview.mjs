// Overview: in every theme, language and size; the sentence is there.
import { holds } from '../page.mjs'

export default async function checks(world) {
  await holds(world, 'overview', '/', { ready: 'main h1' })
}
