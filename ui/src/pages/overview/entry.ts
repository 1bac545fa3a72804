// The whole state, and one timeline that tells the story.
import type { PageEntry } from '../registry'

const entry: PageEntry = {
  nav: { word: 'nav.overview', icon: 'overview', order: 10, key: 'o', to: '/', tab: true },
  routes: [{ path: '/', load: () => import('./Overview') }],
}
export default entry
