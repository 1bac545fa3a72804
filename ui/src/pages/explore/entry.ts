// /explore?q=..&q=..&view=graph: what did these series do, and what changed at that moment? Beside it, where series come from.
import type { PageEntry } from '../registry'

const entry: PageEntry = {
  nav: { word: 'nav.explore', icon: 'explore', group: 'observe', order: 60, key: 'e', to: '/explore' },
  routes: [
    { path: '/explore', load: () => import('./Explore') },
    { path: '/explore/cardinality', load: () => import('./Cardinality') },
  ],
}
export default entry
